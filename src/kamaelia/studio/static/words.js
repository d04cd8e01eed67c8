// Numbers and states in words.

/** A number in few letters: 950, 1.2 k, 35 M. */
export function short(value) {
  if (value === null || value === undefined) return "?"
  const size = Math.abs(value)
  if (size >= 999.5e9) return trim(value / 1e12) + " T"
  if (size >= 999.5e6) return trim(value / 1e9) + " G"
  if (size >= 999.5e3) return trim(value / 1e6) + " M"
  if (size >= 999.5) return trim(value / 1e3) + " k"
  if (size >= 10 || Number.isInteger(value)) return String(Math.round(value))
  return size >= 0.95 ? value.toFixed(1) : size ? value.toFixed(2) : "0"
}

function trim(value) {
  return Math.abs(value) >= 9.95 ? String(Math.round(value)) : value.toFixed(1).replace(/\.0$/, "")
}

/** Messages a second. */
export const rate = value => value === null || value === undefined ? "" : short(value) + "/s"

/** A share as per cent. */
export const percent = share => share === null || share === undefined ? "?" : Math.round(share * 100) + " %"

/** A length of time. */
export function seconds(value) {
  if (value === null || value === undefined) return "?"
  if (value < 0.0995) return Math.round(value * 1000) + " ms"
  if (value < 9.95) return value.toFixed(1) + " s"
  if (value < 120) return Math.round(value) + " s"
  return value < 7200 ? Math.round(value / 60) + " min" : Math.round(value / 3600) + " h"
}

const STATES = {
  new: "has not begun", ready: "ready to run", running: "running", receiving: "waits for a message",
  sending: "waits for room", sleeping: "sleeps", awaiting: "awaits something", working: "works in its thread",
  holding: "holds its parts", vacant: "empty seat",
}

/** What a component does, in words. */
export const doing = state => STATES[state] ?? String(state)

/** Cut a text to so many letters. */
export const cut = (text, most) => text.length > most ? text.slice(0, most - 1) + "\u2026" : text

/** The last part of a path, or of the name of a class. */
export const last = (text, mark = "/") => text.slice(text.lastIndexOf(mark) + 1)

/** "1 part", "2 parts". */
export const many = (count, one, more = one + "s") => `${count} ${count === 1 ? one : more}`
