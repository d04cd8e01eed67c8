// A tap: the messages that wait at the end of a link, and those that pass it, as they come; paused, filtered,
// exported.
//
// What waits is asked for by itself, since it is known also where nothing passes, and even where the system does
// not answer: then it is all that there is to be seen.

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
    this.waiting = [] // as they were when they were asked for
    this.over = true
    this.list = h("ol", {class: "messages", "aria-label": "Messages that have passed, the latest first"})
    this.state = h("p", {class: "hint", role: "status"})
    this.pauseButton = h("button", {"aria-pressed": "false", onclick: () => this.pause(!this.paused)}, "Pause")
    this.filter = h("input", {
      type: "search", placeholder: "only those with ...", "aria-label": "Show only messages with this text",
      oninput: () => this.refilter(),
    })
    this.againButton = h("button", {hidden: true, onclick: () => this.begin()}, "Tap again")
    this.queued = h("ol", {class: "messages"})
    this.queue = h("section", {class: "queued", "aria-label": "Messages that wait", hidden: true},
      h("h3", {}, this.queueName = h("span"), h("button", {onclick: () => this.askQueue()}, "Look again")),
      h("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": "Messages that wait, the next to be received first"}, this.queued))
    this.element = h("div", {class: "tap"},
      h("div", {class: "tools"}, this.pauseButton, this.filter,
        h("button", {onclick: () => this.clear()}, "Clear"), h("button", {onclick: () => this.save()}, "Export")),
      this.queue, h("h3", {}, "Passing"), this.state, this.againButton, this.list)
    this.begin()
  }

  begin() {
    this.over = false
    this.againButton.hidden = true
    this.askQueue()
    this.cancel = this.feed.stream("tap", {at: this.at, rate: RATE, ...this.feed.about}, line => this.take(line))
    this.count()
  }

  /** Show what waits in the queue now. */
  async askQueue() {
    const about = {at: this.at, ...this.feed.about}
    try {
      const {box, waiting, messages} = await this.feed.request("waiting", about)
      this.waiting = messages
      const some = messages.length < waiting ? `, the newest ${messages.length}` : ""
      say(this.queueName, waiting ? `Waiting in ${box}: ${short(waiting)}${some}` : `Nothing waits in ${box}`)
      this.queue.hidden = box === null
    } catch {
      this.waiting = [] // the place has gone, which the tap says as well
      this.queue.hidden = true
    }
    this.refilterQueue()
  }

  take(line) {
    if ("end" in line) {
      this.over = true
      this.againButton.hidden = false
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
    if (this.over) return // it says why
    say(this.state, this.kept.length ? `${this.kept.length} kept${out}${this.paused ? "; paused" : ""}.` : "None has passed since you look.")
  }

  passes(message) {
    const wanted = this.filter.value.toLowerCase()
    return !wanted || `${message.type} ${message.text}`.toLowerCase().includes(wanted)
  }

  item(message) {
    const size = message.size === null || message.size === undefined ? "" : `, ${short(message.size)}`
    const when = message.time === undefined ? "waiting" : this.model.since(message.time)
    return h("li", {}, h("div", {class: "when"}, `${when}  ${last(message.type, ".")}${size}`), showMessage(message))
  }

  refilterQueue() {
    this.queued.replaceChildren(...this.waiting.filter(message => this.passes(message)).map(message => this.item(message)))
  }

  refilter() {
    this.refilterQueue()
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

  /** Save what waits and what is kept, if it passes the filter: a JSON object a line. */
  save() {
    const all = [...this.waiting.map(message => ({waiting: true, ...message})), ...this.kept]
    const lines = all.filter(message => this.passes(message)).map(message => JSON.stringify(message) + "\n")
    const url = URL.createObjectURL(new Blob(lines, {type: "application/jsonl"}))
    const name = `${[this.at].flat().join("-to-")}`.replace(/[^\w.-]+/g, "_")
    h("a", {href: url, download: `${name}.jsonl`}).click()
    setTimeout(() => URL.revokeObjectURL(url), 10000)
  }

  close() {
    this.cancel()
  }
}

