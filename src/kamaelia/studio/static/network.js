// The second picture, of a simulated network: hosts and the links between them, and the hands on its time.
//
// It is drawn as systems are: hosts stand where parts do, and links are wires, but straight ones, since they
// lead both ways.

import {by, h, s, say} from "./dom.js"
import {Picture} from "./picture.js"
import {Places} from "./place.js"
import {Plot} from "./plot.js"
import {PartView, WireView} from "./shapes.js"
import {cut, many, rate, short} from "./words.js"

const EVERY = 0.25 // seconds between two frames
const KEPT = 480 // values of a history
const RECENT = 1500 // milliseconds for which a loss is shown as one of late
const PARAMETERS = ["rate", "delay", "jitter", "loss", "queue", "duplicate", "corrupt", "reorder", "mtu"]
const HINTS = {
  rate: "2 Mbit/s", delay: "80 ms", jitter: "5 ms", loss: "2 %", queue: "150 kB", duplicate: "1 %", corrupt: "1 %",
  reorder: "1 %", mtu: "1500",
}
const MANY = 10 // hosts that hang on one, and stand around it
const DOTS = {running: "running", paused: "sleeping", down: "failed", over: "vacant", idle: "vacant"}

/** A host, as the picture has parts. */
class Host {
  constructor(given) {
    Object.assign(this, {n: given.n, name: given.name, path: given.name, kind: given.kind, addresses: given.addresses})
    this.parent = null
    this.children = new Set()
    this.type = given.kind
    this.figure(["new", 0, 0, 0, 0])
  }

  figure([state, components, sent, received, lost]) {
    Object.assign(this, {state, components, sent, received, lost})
  }
}

/** A link: two directions, or one. */
class Cable {
  constructor(given) {
    Object.assign(this, {n: given.n, name: given.name, ends: given.ends, oneWay: given.one_way})
    this.parameters = given.parameters
    this.back = given.back
    this.directions = []
    this.up = true
    this.lossAt = -Infinity
    this.newlyLost = 0
    this.history = {there: [], back: []}
  }

  figure(row) {
    const before = this.lost
    this.up = row.at(-1)
    this.directions = row.slice(0, -1).map(([packets, bytes, lost, queued, flying]) => ({packets, bytes, lost, queued, flying}))
    if (this.known && this.lost > before) {
      this.newlyLost = this.lost - before
      this.lossAt = performance.now()
    }
    this.known = true
  }

  get lost() {
    return this.directions.reduce((sum, one) => sum + one.lost, 0)
  }

  get packets() {
    return this.directions.reduce((sum, one) => sum + (one.packets ?? 0), 0)
  }
}

class NetScene {
  constructor() {
    this.hosts = new Map()
    this.cables = new Map()
    this.nodes = new Map()
    this.wires = new Map()
  }

  take(frame) {
    this.hosts.clear()
    this.cables.clear()
    this.nodes.clear()
    this.wires.clear()
    for (const given of frame.hosts) {
      const host = new Host(given)
      this.hosts.set(host.n, host)
      this.nodes.set(host.n, {n: host.n, component: host, frame: false, depth: 0, parent: null, children: [], in: [], out: []})
    }
    for (const given of frame.links) {
      const cable = new Cable(given)
      this.cables.set(cable.n, cable)
      const [from, to] = cable.ends
      this.wires.set(String(cable.n), {key: String(cable.n), from, fromBox: null, to, toBox: null, links: [cable]})
    }
  }
}

/** Places for so many hosts around one: in rings, which are wider than high, as hosts are. */
function ringsOf(count) {
  const spots = []
  let w = 0, h = 0
  for (let ring = 1; spots.length < count; ring++) {
    const a = 150 + 215 * ring, b = 70 + 115 * ring
    // Along an ellipse the same way from one to the next.
    const steps = 720, way = [0]
    const at = step => [a * Math.cos(2 * Math.PI * step / steps), b * Math.sin(2 * Math.PI * step / steps)]
    for (let step = 1; step <= steps; step++) {
      const [x, y] = at(step), [px, py] = at(step - 1)
      way.push(way[step - 1] + Math.hypot(x - px, y - py))
    }
    const here = Math.min(count - spots.length, Math.floor(way[steps] / 230))
    for (let n = 0; n < here; n++) spots.push(at(way.findIndex(length => length >= n * way[steps] / here)))
    w = 2 * a + 220
    h = 2 * b + 110
  }
  return {w, h, spots}
}

class NetPlaces extends Places {
  constructor() {
    super()
    this.gap = 170 // room for what is written on links
    this.options = {"elk.layered.nodePlacement.bk.fixedAlignment": "BALANCED"}
  }

  /** Those of whom many others hang, and who these are: they stand in rings around them. */
  hubs(scene) {
    const beside = new Map([...scene.nodes.keys()].map(n => [n, new Set()]))
    for (const {from, to} of scene.wires.values()) {
      beside.get(from).add(to)
      beside.get(to).add(from)
    }
    const hubs = new Map()
    for (const [n, others] of beside) {
      const [hub] = others
      if (others.size === 1 && beside.get(hub).size > 1) hubs.set(hub, [...hubs.get(hub) ?? [], n])
    }
    for (const [hub, leaves] of hubs) if (leaves.length < MANY) hubs.delete(hub)
    return hubs
  }

  work(scene) {
    return [...this.hubs(scene).values()].reduce((sum, leaves) => sum - leaves.length, scene.nodes.size)
  }

  roomFor(node) {
    return this.rooms?.get(node.n) ?? super.roomFor(node)
  }

  async arrange(scene, shape) {
    const hubs = this.hubs(scene)
    const leaves = new Set([...hubs.values()].flat())
    const rings = new Map([...hubs].map(([hub, leaves]) => [hub, ringsOf(leaves.length)]))
    this.rooms = new Map([...rings].map(([hub, {w, h}]) => [hub, [w, h]]))
    await super.arrange({
      nodes: new Map([...scene.nodes].filter(([n]) => !leaves.has(n))),
      wires: new Map([...scene.wires].filter(([, {from, to}]) => !leaves.has(from) && !leaves.has(to))),
    }, shape)
    for (const [hub, {w, h, spots}] of rings) {
      const [left, top] = this.at.get(hub)
      const [width, height] = super.roomFor(scene.nodes.get(hub))
      const put = (n, x, y) => this.put(scene.nodes.get(n), left + w / 2 + x - width / 2, top + h / 2 + y - height / 2)
      put(hub, 0, 0)
      hubs.get(hub).forEach((n, at) => put(n, ...spots[at]))
    }
    this.measure(scene)
    this.store()
  }

  /** Links lead from the side of one host to that of another which is nearer. */
  end(scene, n, box, side, other) {
    const {x, y, w, h: high} = this.rects.get(n), far = this.rects.get(other)
    const middle = {x: x + w / 2, y: y + high / 2}
    if (far.x >= x + w) return {...middle, x: x + w}
    if (far.x + far.w <= x) return {...middle, x}
    if (far.y >= y + high) return {...middle, y: y + high}
    if (far.y + far.h <= y) return {...middle, y}
    return middle
  }
}

const HostView = PartView.extend({
  complete() {
    if (this.whole) return
    this.whole = true
    const {node, rect: {w, h: high}} = this.model.get("look")
    const host = node.component
    this.el.classList.add("host")
    this.dot = s("circle", {class: "dot", cx: 14, cy: 19, r: 5})
    this.kind = s("text", {class: "kind", x: 14, y: 41})
    this.badge = s("text", {class: "kind", x: 14, y: 57})
    this.title = s("title")
    this.el.append(this.title, this.dot, s("text", {class: "name", x: 25, y: 23.5}, cut(host.name, 19)),
      s("text", {class: "big", x: w / 2, y: high / 2 + 11, "text-anchor": "middle"}, cut(host.name, 10)), this.kind, this.badge)
    if (this.flag) this.el.append(this.flag)
    this.shown = {}
    this.figures()
  },

  figures() {
    if (!this.whole) return
    const host = this.node.component
    const {shown} = this
    const dot = DOTS[host.state] ?? "receiving"
    if (shown.dot !== dot) this.dot.setAttribute("class", `dot ${shown.dot = dot}`)
    this.el.classList.toggle("down", host.state === "down")
    const words = `${host.kind}, ${host.state}${host.components ? `, ${many(host.components, "part")}` : ""}`
    if (shown.words !== words) say(this.kind, cut(shown.words = words, 28))
    const badge = `${short(host.sent)} sent, ${short(host.received)} received`
    if (shown.badge !== badge) say(this.badge, shown.badge = badge)
    const title = `${host.name}: ${host.addresses.join(", ")}`
    if (shown.title !== title) say(this.title, shown.title = title)
  },
})

const CableView = WireView.extend({
  update() {
    const {from, to} = this.model.get("ends")()
    const d = `M${from.x} ${from.y}L${to.x} ${to.y}`
    this.sourcePoint = this.sourceAnchor = new joint.g.Point(from.x, from.y)
    this.targetPoint = this.targetAnchor = new joint.g.Point(to.x, to.y)
    if (!this.line || d === this.d) return this
    this.d = d
    this.hit.setAttribute("d", d)
    this.line.setAttribute("d", d)
    this.box = {x: Math.min(from.x, to.x), y: Math.min(from.y, to.y), w: Math.abs(to.x - from.x), h: Math.abs(to.y - from.y)}
    this.middle = [(from.x + to.x) / 2, (from.y + to.y) / 2]
    if (this.label) this.placeLabels()
    return this
  },

  figures() {
    const [cable] = this.wire.links
    const {shown} = this
    const {packets} = cable
    const losing = performance.now() - cable.lossAt < RECENT
    const queued = cable.directions.reduce((sum, one) => sum + one.queued, 0)
    const width = packets > 0.05 ? Math.round(10 * Math.min(8, 1.6 + 1.3 * Math.log10(1 + packets))) / 10 : 1.3
    if (shown.width !== width) this.line.setAttribute("stroke-width", shown.width = width)
    const look = `line ${!cable.up ? "cut" : losing ? "high" : queued ? "half" : packets > 0.05 ? "moving" : "quiet"}`
    if (shown.look !== look) this.line.setAttribute("class", shown.look = look)
    if (!this.label) return
    const text = cable.up ? cable.directions.map((one, n) => one.packets > 0.005 ? `${"\u2192\u2190"[n]} ${rate(one.packets)}` : "").join(" ").trim() : "cut"
    if (shown.text !== text) say(this.label, shown.text = text)
    const below = [losing ? `lost ${short(cable.lost)}` : "", queued ? `${short(queued)} queued` : ""].filter(Boolean).join(", ")
    if (shown.queue !== below) say(this.queue, shown.queue = below)
    const loud = losing ? "queue loud" : "queue"
    if (shown.loud !== loud) this.queue.setAttribute("class", shown.loud = loud)
  },
})

export class Network extends EventTarget {
  /** Events: "inside" (detail: the name of a host), "chosen", "news". */
  constructor(feed, details) {
    super()
    this.feed = feed
    this.details = details
    this.scene = new NetScene()
    this.places = new NetPlaces()
    this.picture = new Picture(by("network"), this.scene, this.places, {part: HostView, wire: CableView})
    this.times = []
    this.time = 0
    this.state = ""
    this.speed = null
    this.rows = [] // of the list, in its order: {thing, words}
    this.live = []
    this.picture.addEventListener("choose", event => {
      const {component, wire} = event.detail
      if (component) this.showHost(component)
      else this.showCable(wire.links[0])
    })
    this.controls()
    by("net-list").addEventListener("scroll", () => {
      this.written = -1000
      this.writeRows()
    }, {passive: true})
  }

  /** Show a network that has just said who it is. */
  watch(greeting) {
    this.places.open(`${greeting.program} ${greeting.name}`)
    this.cancel?.()
    this.cancel = this.feed.stream("watch_network", {every: EVERY}, frame => {
      if ("end" in frame) return
      this.dispatchEvent(new Event("news"))
      this.take(frame)
    })
  }

  take(frame) {
    if (frame.hosts) {
      this.scene.take(frame)
      this.length = frame.seconds
      this.times = []
      if (this.host || this.cable) this.close() // they were those of a connection before
      this.first()
    }
    for (const given of frame.changed?.links ?? []) {
      const cable = this.scene.cables.get(given.n)
      if (cable) Object.assign(cable, {parameters: given.parameters, back: given.back})
      if (cable && cable === this.cable) this.fillForm()
    }
    const hosts = new Set(), cables = new Set(this.scene.cables.values()) // a loss of late is one no more
    for (const n in frame.h) {
      const host = this.scene.hosts.get(+n)
      host?.figure(frame.h[n])
      if (host) hosts.add(host)
    }
    for (const n in frame.l) this.scene.cables.get(+n)?.figure(frame.l[n])
    Object.assign(this, {time: frame.time, state: frame.state, speed: frame.speed})
    this.times.push(frame.time)
    for (const cable of cables) {
      cable.history.there.push(cable.directions[0]?.packets ?? null)
      cable.history.back.push(cable.directions[1]?.packets ?? null)
      if (cable.history.there.length > KEPT) {
        cable.history.there.shift()
        cable.history.back.shift()
      }
    }
    if (this.times.length > KEPT) this.times.shift()
    this.picture.figures(hosts, cables)
    this.sayTime()
    this.writeRows()
    for (const write of this.live) write()
    this.drawPlot()
  }

  /** Draw it for the first time. Frames come meanwhile. */
  async first() {
    await this.places.first(this.scene, this.picture.ratio)
    this.picture.draw()
    this.picture.fit()
    this.list()
  }

  // -- time -----------------------------------------------------------------------------------------

  controls() {
    const speeds = [["0.1", "a tenth as fast"], ["0.5", "half as fast"], ["1", "as fast as a clock"], ["2", "twice as fast"], ["10", "ten times"], ["", "as fast as it can"]]
    this.clock = h("output", {class: "clock", "aria-label": "virtual time"}, "0 s")
    this.play = h("button", {onclick: () => this.do(this.state === "paused" ? "go" : "pause", this.state === "paused" ? {speed: this.speed} : {})}, "Pause")
    this.pace = h("select", {"aria-label": "How fast time goes", onchange: () => this.do("go", {speed: this.pace.value ? +this.pace.value : null})},
      speeds.map(([value, text]) => h("option", {value}, text)))
    this.until = h("input", {type: "text", inputmode: "decimal", size: "6", "aria-label": "Run until so many seconds", placeholder: "s"})
    by("time").replaceChildren(this.clock, this.play, this.pace,
      h("button", {onclick: () => this.do("step", {events: 1}), title: "Let one thing happen"}, "One event"),
      h("button", {onclick: () => this.do("step", {seconds: 0.1})}, "0.1 s"),
      h("button", {onclick: () => this.do("step", {seconds: 1})}, "1 s"),
      h("form", {onsubmit: event => {
        event.preventDefault()
        const time = parseFloat(this.until.value)
        if (Number.isFinite(time)) this.do("run_until", {time})
      }}, h("button", {}, "Run until"), this.until),
      this.answer = h("span", {role: "status", class: "answer"}))
  }

  sayTime() {
    const whole = Number.isFinite(this.length) ? ` of ${this.length} s` : ""
    say(this.clock, `${this.time.toFixed(3)} s${whole}, ${this.state}`)
    say(this.play, this.state === "paused" ? "Go on" : "Pause")
    const value = this.speed === null ? "" : String(this.speed)
    if (document.activeElement !== this.pace && this.pace.value !== value && [...this.pace.options].some(one => one.value === value)) this.pace.value = value
    document.body.classList.toggle("paused", this.state === "paused")
  }

  /** Ask for something, and say what was wrong with it. */
  async do(what, values) {
    try {
      const found = await this.feed.request(what, values)
      say(this.answer, "")
      return found
    } catch (error) {
      say(this.answer, error.message)
      return null
    }
  }

  // -- the same in words ------------------------------------------------------------------------------

  list() {
    const row = (thing, act) => {
      const words = h("span", {class: "words"})
      this.rows.push({thing, words})
      return h("li", {}, h("button", {class: "link", onclick: act}, thing.name), " ", words)
    }
    this.rows = []
    by("net-list").replaceChildren(
      h("h3", {}, many(this.scene.hosts.size, "host")),
      h("ul", {}, [...this.scene.hosts.values()].map(host => row(host, () => this.showHost(host, true)))),
      h("h3", {}, many(this.scene.cables.size, "link")),
      h("ul", {}, [...this.scene.cables.values()].map(cable => row(cable, () => this.showCable(cable, true)))))
    this.writeRows()
  }

  /** Write the latest figures into the rows that are in view. */
  writeRows() {
    if (performance.now() - (this.written ?? -1000) < 450 || document.hidden || !this.rows.length) return
    this.written = performance.now()
    const box = by("net-list")
    const high = this.rows[0].words.parentElement.offsetHeight || 24
    const begin = Math.max(0, Math.floor(box.scrollTop / high) - 6)
    for (const {thing, words} of this.rows.slice(begin, begin + Math.ceil((box.clientHeight || 600) / high) + 12)) {
      if (thing instanceof Host) {
        say(words, `${thing.kind}, ${thing.state}, ${short(thing.sent)} sent, ${short(thing.received)} received, ${short(thing.lost)} lost`)
      } else {
        say(words, `${thing.up ? "up" : "cut"}, ${thing.packets ? rate(thing.packets) : "quiet"}, ${short(thing.lost)} lost`)
      }
    }
  }

  // -- details ----------------------------------------------------------------------------------------

  /** Show no host and no link any more. */
  close() {
    this.details.none()
    this.plot?.close()
    this.plot = this.cable = this.host = null
    this.live = []
    this.picture.choose(null)
  }

  begin() {
    this.close()
    this.dispatchEvent(new Event("chosen"))
  }

  figure(make) {
    const element = h("span", {class: "figure"}, make())
    this.live.push(() => say(element, make()))
    return element
  }

  facts(pairs) {
    return h("dl", {class: "figures"}, pairs.flatMap(([name, make]) => [h("dt", {}, name), h("dd", {}, this.figure(make))]))
  }

  showHost(host, bring = false) {
    this.begin()
    this.host = host
    this.picture.choose(`c${host.n}`)
    if (bring) this.picture.centre(host.n)
    const links = [...this.scene.cables.values()].filter(cable => cable.ends.includes(host.n))
    this.details.fill(
      h("h2", {}, host.name), h("p", {class: "path"}, `${host.kind}, ${host.addresses.join(", ")}`),
      h("div", {class: "tools"},
        h("button", {onclick: () => {
          this.close()
          this.dispatchEvent(new CustomEvent("inside", {detail: host.name}))
        }}, "Look inside"),
        h("button", {onclick: () => this.do("crash", {host: host.name})}, "Crash it"),
        h("button", {onclick: () => this.do("restart", {host: host.name})}, "Restart it")),
      this.facts([
        ["state", () => host.state], ["parts", () => short(host.components)], ["sent", () => short(host.sent)],
        ["received", () => short(host.received)], ["lost", () => short(host.lost)],
      ]),
      h("section", {}, h("h3", {}, "Links"), h("ul", {}, links.map(cable =>
        h("li", {}, h("button", {class: "link", onclick: () => this.showCable(cable)}, cable.name))))))
  }

  showCable(cable, bring = false) {
    this.begin()
    this.cable = cable
    this.picture.choose(`w${cable.n}`)
    if (bring) this.picture.fit(cable.ends, 1)
    const way = (n, name) => this.facts([
      [name, () => cable.directions[n] ? `${rate(cable.directions[n].packets) || "?"}, ${short(cable.directions[n].bytes)} B/s` : "?"],
      ["lost", () => short(cable.directions[n]?.lost)], ["queued", () => short(cable.directions[n]?.queued)],
      ["under way", () => short(cable.directions[n]?.flying)],
    ])
    const [a, b] = cable.ends.map(n => this.scene.hosts.get(n)?.name ?? "?")
    this.fields = Object.fromEntries(PARAMETERS.map(name => [name, h("input", {type: "text", id: `set-${name}`, placeholder: HINTS[name], autocomplete: "off"})]))
    const cutButton = h("button", {onclick: () => this.do(cable.up ? "cut" : "mend", {link: cable.n})})
    this.live.push(() => say(cutButton, cable.up ? "Cut it" : "Mend it"))
    this.plot = new Plot([{label: "packets a second there", colour: "--flow"}, {label: "back", colour: "--good"}])
    this.details.fill(
      h("h2", {}, "Link"), h("p", {class: "path"}, cable.name),
      h("div", {class: "tools"}, cutButton),
      this.facts([["state", () => cable.up ? "up" : "cut"]]),
      way(0, `${a} \u2192 ${b}`), cable.oneWay ? "" : way(1, `${b} \u2192 ${a}`), this.plot.element,
      h("form", {class: "parameters", onsubmit: event => {
        event.preventDefault()
        this.set(cable)
      }}, h("h3", {}, "What it is like"), PARAMETERS.map(name => h("div", {}, h("label", {for: `set-${name}`}, name), this.fields[name])),
      h("button", {}, "Change it")))
    for (const write of this.live) write()
    this.fillForm()
    this.drawPlot()
  }

  fillForm() {
    for (const name of PARAMETERS) {
      const field = this.fields[name]
      if (document.activeElement !== field) field.value = this.cable.parameters[name] ?? ""
    }
  }

  async set(cable) {
    const values = {}
    for (const name of PARAMETERS) {
      const text = this.fields[name].value.trim()
      if (text !== (cable.parameters[name] ?? "")) values[name] = text || null
    }
    if (!Object.keys(values).length) return
    const found = await this.do("set_link", {link: cable.n, values})
    if (found && cable === this.cable) {
      Object.assign(cable, {parameters: found.parameters, back: found.back})
      this.fillForm()
    }
  }

  drawPlot() {
    if (this.plot && this.cable) this.plot.draw(this.times, [this.cable.history.there, this.cable.history.back])
  }
}
