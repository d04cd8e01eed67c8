// One message, as the system has shown it to us: text, JSON, hex, a picture, a waveform. All of it is text or
// data to us, never markup.

import {h, s} from "./dom.js"

const WAVE = [280, 56]
const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"])

/** Make an element that shows a message. */
export function showMessage(message) {
  const cut = message.cut ? h("p", {class: "hint"}, "cut here; there is more of it") : null
  try {
    const make = FORMS[message.kind] ?? FORMS.text
    return h("div", {class: `message ${message.kind}`}, make(message), cut)
  } catch {
    return h("div", {class: "message"}, FORMS.text(message), cut) // it is not what it says: show what is there
  }
}

const FORMS = {
  text: ({text}) => h("pre", {}, text),
  repr: ({text}) => h("pre", {}, text),
  json: ({text}) => h("pre", {}, pretty(text)),
  hex: ({text}) => h("pre", {class: "hex"}, dump(text)),
  picture: ({text, media_type: type}) => {
    if (!PICTURES.has(type) || !/^[A-Za-z0-9+/=]*$/.test(text)) throw new Error("no picture")
    return h("img", {src: `data:${type};base64,${text}`, alt: `a picture, ${type}`})
  },
  samples: ({text}) => wave(JSON.parse(text)),
}

/** JSON on several lines, but else as it stands there: read and written anew, 1.0 would be 1, and long numbers others. */
function pretty(text) {
  try {
    JSON.parse(text)
  } catch {
    return text // it was cut
  }
  let made = "", depth = 0, before = ""
  const line = () => "\n" + "  ".repeat(depth)
  for (const token of text.match(/"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s{}[\]:,"]+/g)) {
    const opens = token === "{" || token === "[", closes = token === "}" || token === "]"
    if (closes) depth--
    if (closes ? before !== "{" && before !== "[" : before === "," || before === "{" || before === "[") made += line()
    made += token === ":" ? ": " : token
    if (opens) depth++
    before = token
  }
  return made
}

/** Hexadecimal digits as people read them: 16 bytes a row, and what is text in them. */
export function dump(digits) {
  const rows = []
  for (let at = 0; at < digits.length; at += 32) {
    const bytes = digits.slice(at, at + 32).match(/../g) ?? []
    const text = bytes.map(pair => {
      const code = parseInt(pair, 16)
      return code >= 32 && code < 127 ? String.fromCharCode(code) : "."
    }).join("")
    rows.push(`${(at / 2).toString(16).padStart(4, "0")}  ${bytes.join(" ").padEnd(47)}  ${text}`)
  }
  return rows.join("\n")
}

function wave(channels) {
  if (!Array.isArray(channels) || !channels.every(Array.isArray)) throw new Error("no samples")
  const [width, height] = WAVE
  const lines = channels.slice(0, 8).map(values => {
    const points = values.slice(0, 1000).map((value, n, all) => {
      const y = height / 2 * (1 - Math.max(-1, Math.min(1, Number(value) || 0)))
      return `${(n * width / Math.max(1, all.length - 1)).toFixed(1)},${y.toFixed(1)}`
    })
    return s("svg", {class: "wave", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "waveform"},
      s("path", {d: `M0 ${height / 2}H${width}`}), s("polyline", {points: points.join(" ")}))
  })
  return h("div", {}, lines)
}
