// A tap: the messages that pass a link or a box, as they come; paused, filtered, exported.

import {h, say} from "./dom.js"
import {showMessage} from "./message.js"
import {last, short} from "./words.js"

const KEPT = 200 // messages
const RATE = 50 // messages a second that are asked for

export class Tap {
  /** at: "path.box", or the two ends of a link. */
  constructor(feed, at, model) {
    this.feed = feed
    this.model = model
    this.at = at
    this.kept = []
    this.paused = false
    this.leftOut = 0
    this.fresh = []
    this.wanted = false
    this.list = h("ol", {class: "messages", "aria-label": "Messages, the latest first"})
    this.state = h("p", {class: "hint", role: "status"}, "Waiting for a message.")
    this.pauseButton = h("button", {"aria-pressed": "false", onclick: () => this.pause(!this.paused)}, "Pause")
    this.filter = h("input", {
      type: "search", placeholder: "only those with ...", "aria-label": "Show only messages with this text",
      oninput: () => this.refilter(),
    })
    this.element = h("div", {class: "tap"},
      h("div", {class: "tools"}, this.pauseButton, this.filter,
        h("button", {onclick: () => this.clear()}, "Clear"), h("button", {onclick: () => this.save()}, "Export")),
      this.state, this.list)
    this.cancel = feed.stream("tap", {at, rate: RATE, ...feed.about}, line => this.take(line))
  }

  take(line) {
    if ("end" in line) {
      say(this.state, `The tap has ended: ${line.end}.`)
      return
    }
    this.leftOut += line.left_out ?? 0
    if (this.paused) return
    this.fresh.push({time: line.time, ...line.message})
    if (this.fresh.length > KEPT) this.fresh.shift()
    if (!this.wanted) {
      this.wanted = true
      requestAnimationFrame(() => this.paint())
    }
  }

  paint() {
    this.wanted = false
    const fresh = this.fresh.splice(0)
    this.kept.push(...fresh)
    this.kept.splice(0, Math.max(0, this.kept.length - KEPT))
    for (const message of fresh) if (this.passes(message)) this.list.prepend(this.item(message))
    while (this.list.children.length > KEPT) this.list.lastElementChild.remove()
    this.count()
  }

  count() {
    const out = this.leftOut ? `, ${short(this.leftOut)} left out to keep up` : ""
    say(this.state, this.kept.length ? `${this.kept.length} kept${out}${this.paused ? "; paused" : ""}.` : "Waiting for a message.")
  }

  passes(message) {
    const wanted = this.filter.value.toLowerCase()
    return !wanted || `${message.type} ${message.text}`.toLowerCase().includes(wanted)
  }

  item(message) {
    const size = message.size === null || message.size === undefined ? "" : `, ${short(message.size)}`
    return h("li", {}, h("div", {class: "when"}, `${this.model.since(message.time)}  ${last(message.type, ".")}${size}`), showMessage(message))
  }

  refilter() {
    this.list.replaceChildren(...this.kept.filter(message => this.passes(message)).map(message => this.item(message)).reverse())
  }

  pause(paused) {
    this.paused = paused
    this.pauseButton.setAttribute("aria-pressed", String(paused))
    say(this.pauseButton, paused ? "Go on" : "Pause")
    this.count()
  }

  clear() {
    this.kept = []
    this.leftOut = 0
    this.list.replaceChildren()
    this.count()
  }

  /** Save what is kept and passes the filter: a JSON object a line. */
  save() {
    const lines = this.kept.filter(message => this.passes(message)).map(message => JSON.stringify(message) + "\n")
    const url = URL.createObjectURL(new Blob(lines, {type: "application/jsonl"}))
    const name = `${[this.at].flat().join("-to-")}`.replace(/[^\w.-]+/g, "_")
    h("a", {href: url, download: `${name}.jsonl`}).click()
    setTimeout(() => URL.revokeObjectURL(url), 10000)
  }

  close() {
    this.cancel()
  }
}

