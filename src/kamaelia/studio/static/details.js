// What is known about one part, or one link: beside the picture, and kept up to date while it is there.

import {h, say} from "./dom.js"
import {Plot} from "./plot.js"
import {Tap} from "./tap.js"
import {doing, last, many, percent, rate, short} from "./words.js"

const AGAIN = 2000 // milliseconds between two questions about the same part
const CODE_SHOWN = 200 // lines

export class Details extends EventTarget {
  /** Events: "choose" (detail: {component} or {link}), "fold", "focus", "show" (detail: component). */
  constructor(host, model, feed) {
    super()
    this.host = host
    this.model = model
    this.feed = feed
    this.close()
  }

  close() {
    clearTimeout(this.timer)
    this.tap?.close()
    this.plot?.close()
    this.tap = this.plot = this.component = this.link = null
    this.live = []
    this.number = (this.number ?? 0) + 1
  }

  /** Say that there is nothing to be said. */
  none(text = "Choose a part or a link, in the picture or in the list.") {
    this.close()
    this.fill(h("p", {class: "hint"}, text))
  }

  /** Show something else. Who was in here with the keyboard still is, at its beginning. */
  fill(...children) {
    const had = this.host.contains(document.activeElement)
    this.host.replaceChildren(...children)
    this.host.scrollTop = 0
    if (had) this.host.focus()
  }

  /** A text that is written anew with the figures. */
  figure(make) {
    const element = h("span", {class: "figure"}, make())
    this.live.push(() => say(element, make()))
    return element
  }

  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, {detail}))
  }

  /** Write the latest figures; called with each frame, so it must be quick. */
  update() {
    for (const write of this.live) write()
    if (this.component && !this.model.components.has(this.component.n)) {
      const next = this.model.byPath.get(this.component.path)
      this.gone("It is no longer there. ", next && h("button", {onclick: () => this.tell("choose", {component: next})}, "See the one that came after it"))
    }
    if (this.link && !this.links().length) this.gone("This link is no longer there.")
    this.drawPlot()
  }

  /** Say so above all else, once. */
  gone(text, button = null) {
    const said = this.host.querySelector(".gone") ?? h("p", {class: "gone", role: "status"}, text)
    if (!said.isConnected) this.host.prepend(said)
    if (button && said.childElementCount === 0) said.append(button)
  }

  // -- a part ---------------------------------------------------------------------------------------

  showComponent(component) {
    this.close()
    this.component = component
    const chassis = component.children.size > 0
    const rest = h("div", {}, h("p", {class: "hint"}, "Asking the system about it."))
    const waits = h("p", {class: "waits"})
    this.live.push(() => this.sayWaits(component, waits))
    const bar = h("div", {class: "share", role: "img"}, h("i", {class: "ran"}), h("i", {class: "blocked"}))
    this.live.push(() => {
      bar.setAttribute("aria-label", `runs ${percent(component.running)}, waits for room ${percent(component.blocked)}`)
      bar.children[0].style.width = `${100 * component.running}%`
      bar.children[1].style.width = `${100 * Math.min(1 - component.running, component.blocked)}%`
    })
    this.fill(
      h("h2", {}, component.name),
      h("p", {class: "path"}, component.path),
      h("p", {class: "type"}, component.type, component.body === "none" ? "" : `, a ${component.body}`),
      h("div", {class: "tools"},
        h("button", {onclick: () => this.tell("show", component)}, "Show it"),
        chassis ? h("button", {onclick: () => this.tell("fold", component)}, "Fold or unfold") : null,
        h("button", {onclick: () => this.tell("focus", component)}, "Only its neighbours")),
      h("p", {class: "now"}, this.figure(() => doing(component.state))), waits, bar,
      h("dl", {class: "figures pairs"},
        h("dt", {}, "runs"), h("dd", {}, this.figure(() => percent(component.running))),
        h("dt", {}, "waits for room"), h("dd", {}, this.figure(() => percent(component.blocked))),
        h("dt", {}, "steps"), h("dd", {}, this.figure(() => short(component.steps))),
        h("dt", {}, "restarts"), h("dd", {}, this.figure(() => short(component.restarts))),
        h("dt", {}, "failures"), h("dd", {}, this.figure(() => short(component.failures)))),
      this.linksOf(component), rest)
    for (const write of this.live) write()
    this.ask(component, rest, this.number)
  }

  sayWaits(component, element) {
    const other = this.model.components.get(component.waitsFor)
    const path = other?.path ?? ""
    if (element.dataset.path === path) return
    element.dataset.path = path
    element.replaceChildren(...(other ? ["It waits for room from ", this.to(other), "."] : []))
  }

  /** A button that leads to another part. */
  to(component) {
    return h("button", {class: "link", onclick: () => this.tell("choose", {component})}, component.path)
  }

  linksOf(component) {
    const links = [...component.links]
    if (!links.length) return null
    const rows = links.slice(0, 100).map(link => {
      const outward = link.from?.[0] === component.n
      const [own, other] = outward ? [link.from, link.to] : [link.to, link.from]
      const far = this.model.components.get(other?.[0])
      const name = `${own[1]} ${outward ? "\u2192" : "\u2190"} ${far ? `${far.path}.${other[1]}` : "the outside"}`
      return h("tr", {},
        h("th", {scope: "row"}, h("button", {class: "link", onclick: () => this.tell("choose", {link})}, name)),
        h("td", {}, this.figure(() => rate(link.rate))),
        h("td", {}, this.figure(() => link.size ? `${short(link.waiting)}/${short(link.size)}` : "")))
    })
    return h("section", {}, h("h3", {}, "Links"), h("table", {},
      h("thead", {}, h("tr", {}, h("th", {scope: "col"}, "link"), h("th", {scope: "col"}, "rate"), h("th", {scope: "col"}, "queue"))),
      h("tbody", {}, rows)))
  }

  async ask(component, rest, number) {
    let found
    try {
      found = await this.feed.request("details", {path: component.path, ...this.feed.about})
    } catch (error) {
      if (number === this.number) rest.replaceChildren(h("p", {class: "hint"}, `No more is known: ${error.message}.`))
      return
    }
    if (number !== this.number) return
    const where = h("p", {class: "where"}), boxes = h("tbody"), errors = h("ul", {class: "errors"}), log = h("pre", {class: "log"})
    const fill = found => {
      say(where, found.where ? `It is at ${found.where}` : "")
      boxes.replaceChildren(...found.boxes.map(box => h("tr", {title: box.doc ?? ""},
        h("th", {scope: "row"}, h("button", {
          class: "link", title: "Tap it", onclick: () => this.tell("choose", {box: `${component.path}.${box.name}`}),
        }, box.name)), h("td", {}, box.direction), h("td", {}, box.type), h("td", {}, box.state),
        h("td", {}, box.size ? `${short(box.waiting)}/${short(box.size)}` : ""), h("td", {}, short(box.passed)),
        h("td", {}, box.dropped || box.discarded ? short(box.dropped + box.discarded) : ""))))
      const failed = found.events.filter(event => event[2] === "failed").slice(-10)
      errors.replaceChildren(...failed.map(event => h("li", {}, `${this.model.since(event[1])}: ${event[4]}`)))
      errors.hidden = !failed.length
      say(log, logText(found.log))
      log.hidden = !found.log.length
    }
    const named = Object.entries(found.arguments)
    rest.replaceChildren(
      found.doc ? h("section", {}, h("h3", {}, "What it is"), h("pre", {class: "doc"}, found.doc)) : "",
      h("section", {}, h("h3", {}, "Boxes"), h("div", {class: "wide"}, h("table", {},
        h("thead", {}, h("tr", {}, ["box", "", "type", "state", "queue", "passed", "lost"].map(text => h("th", {scope: "col"}, text)))), boxes))),
      named.length ? h("section", {}, h("h3", {}, "Arguments"), h("table", {}, h("tbody", {},
        named.map(([name, value]) => h("tr", {}, h("th", {scope: "row"}, name), h("td", {}, h("code", {}, value))))))) : "",
      errors, h("section", {}, h("h3", {}, "Where it is"), where, this.codeOf(found)),
      h("section", {}, h("h3", {}, "Log"), log))
    fill(found)
    const again = async () => {
      try {
        const found = document.hidden ? null : await this.feed.request("details", {path: component.path, ...this.feed.about})
        if (found && number === this.number && this.model.components.has(component.n)) fill(found)
      } catch {
        // it has ended, or there is no connection: what is shown stays
      }
      if (number === this.number) this.timer = setTimeout(again, AGAIN)
    }
    this.timer = setTimeout(again, AGAIN)
  }

  codeOf(found) {
    if (!found.code) return found.file ? h("p", {}, `Defined in ${found.file}, line ${found.line}`) : null
    const now = found.where?.startsWith(found.file) ? +last(found.where, ":") : 0
    const lines = found.code.split("\n").slice(0, CODE_SHOWN).map((line, n) =>
      h("span", {class: found.line + n === now ? "here" : null}, `${String(found.line + n).padStart(4)}  ${line}\n`))
    return h("details", {}, h("summary", {}, `Code: ${found.file}, line ${found.line}`), h("pre", {class: "code"}, lines))
  }

  // -- a link ---------------------------------------------------------------------------------------

  /** The links of a wire that are still there, as they have been described last. */
  links() {
    return this.link.links.map(link => this.model.links.get(link.n)).filter(Boolean)
  }

  showWire(wire) {
    this.close()
    this.link = wire
    const all = () => this.links()
    const sum = what => () => short(all().reduce((sum, link) => sum + (link[what] ?? 0), 0))
    const [first] = wire.links
    const name = end => {
      const component = this.model.components.get(end?.[0])
      return component ? `${component.path}.${end[1]}` : null
    }
    const from = name(first.from), to = name(first.to)
    const single = wire.links.length === 1
    const end = given => {
      const component = this.model.components.get(given?.[0])
      return component ? [this.to(component), `.${given[1]}`] : "the outside"
    }
    this.plot = new Plot([
      {label: "messages a second", colour: "--flow"}, {label: "messages that wait", colour: "--alarm"},
    ])
    this.fill(
      h("h2", {}, single ? "Link" : many(wire.links.length, "link")),
      h("p", {class: "ends"}, end(first.from), " \u2192 ", end(first.to), single ? "" : " and others"),
      h("dl", {class: "figures pairs"},
        h("dt", {}, "rate"), h("dd", {}, this.figure(() => rate(all().reduce((sum, link) => sum + (link.rate ?? 0), 0)))),
        h("dt", {}, "passed"), h("dd", {}, this.figure(sum("passed"))),
        h("dt", {}, "waiting"), h("dd", {}, this.figure(() => {
          const fullest = all().reduce((one, two) => two.fill >= one.fill ? two : one, first)
          return `${short(fullest.waiting)} of ${short(fullest.size)}`
        })),
        h("dt", {}, "dropped"), h("dd", {}, this.figure(sum("dropped"))),
        h("dt", {}, "state"), h("dd", {}, this.figure(() => all().some(link => link.open) ? "open" : "ended")),
        h("dt", {}, "when full"), h("dd", {}, single ? first.whenFull === "wait" ? "it waits" : first.whenFull.replace("-", " ") : "")),
      this.plot.element)
    this.tapInto(wire.links, from, to)
    this.drawPlot()
  }

  tapInto(links, from, to) {
    const section = h("section", {}, h("h3", {}, "Messages"))
    const begin = at => {
      this.tap?.close()
      this.tap = new Tap(this.feed, at, this.model)
      section.querySelector(".tap")?.remove()
      section.append(this.tap.element)
    }
    const places = links.slice(0, 50).map(link => {
      const name = end => this.model.components.has(end?.[0]) ? `${this.model.components.get(end[0]).path}.${end[1]}` : null
      const ends = [name(link.from), name(link.to)]
      return ends[0] && ends[1] ? ends : ends[0] ?? ends[1]
    }).filter(Boolean)
    if (places.length > 1) {
      section.append(h("label", {}, "of ", h("select", {
        onchange: event => begin(places[event.target.selectedIndex]),
      }, places.map(at => h("option", {}, [at].flat().join(" \u2192 "))))))
    }
    this.host.append(section)
    if (places.length) begin(places[0])
  }

  /** Tap one box, whatever leads to it. */
  showBox(at) {
    this.close()
    const component = this.model.byPath.get(at.slice(0, at.lastIndexOf(".")))
    this.fill(h("h2", {}, `Box ${last(at, ".")}`), h("p", {}, component ? ["of ", this.to(component)] : at), h("h3", {}, "Messages"))
    this.tap = new Tap(this.feed, at, this.model)
    this.host.append(this.tap.element)
  }

  drawPlot() {
    if (!this.plot || !this.link) return
    const histories = this.links().map(link => link.history).filter(Boolean)
    const {times} = this.model
    const sum = what => times.map((_, n) => histories.length
      ? histories.reduce((sum, history) => history[what][n] === null ? sum : (sum ?? 0) + (history[what][n] ?? 0), null) : 0)
    this.plot.draw(times, [sum("rate"), sum("waiting")])
  }
}

function logText(lines) {
  return lines.map(line => typeof line === "string" ? line : `${line.level ?? ""} ${line.text ?? ""}`).join("\n")
}
