// How a part and a wire are drawn: views of joint that make their own SVG once, and have the nodes into which
// figures are written later. Figures never go through joint's models: that would cost a third of the frames.

import {s, say} from "./dom.js"
import {HEAD, ROW, TITLE} from "./place.js"
import {cut, doing, last, rate, short} from "./words.js"

const {dia} = joint

export const Part = dia.Element.define("studio.Part", {})
export const Wire = dia.Link.define("studio.Wire", {})

const DOTS = {
  running: "running", working: "running", ready: "running", receiving: "receiving", sending: "sending",
  sleeping: "sleeping", awaiting: "sleeping", holding: "receiving", vacant: "vacant", new: "vacant",
}

/** The class of the dot that says what a component does. */
export const dotOf = component => DOTS[component.state] ?? "receiving"

export const PartView = dia.ElementView.extend({
  /** Draw only the shape: what else there is comes when somebody is near enough to see it. */
  render() {
    const {node, rect} = this.model.get("look")
    this.node = node
    this.vel.empty()
    this.el.setAttribute("class", `joint-cell joint-element ${node.frame ? "frame" : "part"}`)
    this.shape = s("rect", {class: "shape", width: rect.w, height: rect.h, rx: node.frame ? 12 : 8})
    this.el.append(this.shape)
    this.flag = null
    this.whole = false
    this.updateTransformation()
    return this
  },

  /** Draw the rest of it. */
  complete() {
    if (this.whole) return
    this.whole = true
    const {node, ports, rect} = this.model.get("look")
    const {component} = node
    const {w, h} = rect
    const folds = component.children.size > 0
    this.dot = s("circle", {class: "dot", cx: 14, cy: 15, r: 5})
    const room = Math.floor((w - (folds ? 58 : 34)) / 7.4)
    this.name = s("text", {class: "name", x: 25, y: 19.5}, cut(component.name, room))
    // What is read from farther away.
    this.big = s("text", {class: "big", x: w / 2, y: node.frame ? 30 : h / 2 + 11, "text-anchor": "middle"}, cut(component.name, node.frame ? 16 : 12))
    if (!node.frame && component.name.length > 8) this.big.style.fontSize = "22px"
    this.title = s("title")
    this.badge = s("text", {class: "badge", x: w - 8, y: node.frame ? h - 8 : h - 12, "text-anchor": "end"})
    this.el.append(this.title, this.dot, this.name, this.big)
    if (node.frame) {
      this.kind = s("tspan", {class: "kind", dx: 8})
      this.name.append(this.kind)
    } else {
      this.kind = s("text", {class: "kind", x: 25, y: 34})
      this.track = s("rect", {class: "track", x: 8, y: h - 7, width: w - 16, height: 3.5, rx: 1.5})
      this.ran = s("rect", {class: "ran", x: 8, y: h - 7, width: 0, height: 3.5, rx: 1.5})
      this.blocked = s("rect", {class: "blocked", x: 8, y: h - 7, width: 0, height: 3.5, rx: 1.5})
      this.el.append(this.track, this.ran, this.blocked)
    }
    if (!node.frame) this.el.append(this.kind)
    this.el.append(...this.ports(node, ports, w), this.badge)
    if (folds) {
      const sign = node.frame ? "M4 8H12" : "M4 8H12M8 4V12"
      this.el.append(s("g", {class: "folder", transform: `translate(${w - 24} 7)`},
        s("title", {}, node.frame ? "Fold" : `Unfold: show the ${component.children.size} in it`),
        s("rect", {width: 16, height: 16, rx: 4}), s("path", {d: sign})))
    }
    if (this.flag) this.el.append(this.flag) // above all else
    this.shown = {}
    this.figures()
  },

  ports(node, ports, w) {
    const made = []
    const one = (box, side) => {
      const y = ports[side].get(box.name)
      const x = side === "in" ? 0 : w
      const inward = side === "in" ? 1 : -1
      const room = node.frame ? 12 : node.in.length && node.out.length ? 11 : 22
      const type = ["Any", "object", "typing.Any", ""].includes(box.type) ? "" : last(box.type, ".")
      const name = cut(box.name, room)
      const fits = type && name.length + type.length + 1 <= room + 2
      made.push(s("g", {class: `port ${side}`, transform: `translate(${x} ${y})`},
        s("title", {}, `${box.name}: ${box.type || "Any"}`),
        s("circle", {r: 4.5}),
        node.frame ? null : s("text", {x: 9 * inward, y: 3.5, "text-anchor": side === "in" ? "start" : "end"}, name,
          fits ? s("tspan", {class: "type"}, " " + type) : null)))
    }
    for (const box of node.in) one(box, "in")
    for (const box of node.out) one(box, "out")
    return made
  },

  update() {},
  resize() {
    this.render()
  },

  /** Write the latest figures into the picture. */
  figures() {
    if (!this.whole) return
    const {component, frame} = this.node
    const {shown} = this
    const dot = component.failures ? "failed" : dotOf(component)
    if (shown.dot !== dot) this.dot.setAttribute("class", `dot ${shown.dot = dot}`)
    const kind = last(component.type, ".")
    const words = frame ? (kind === component.name ? "" : kind) : doing(component.state)
    if (shown.words !== words) say(this.kind, cut(shown.words = words, 24))
    let badge = ""
    if (component.failures) badge += `\u2717 ${short(component.failures)} `
    if (component.restarts) badge += `\u21bb ${short(component.restarts)}`
    if (shown.badge !== badge) say(this.badge, shown.badge = badge)
    const title = `${component.path}\n${component.type}: ${doing(component.state)}`
    if (shown.title !== title) say(this.title, shown.title = title)
    if (frame) return
    const whole = this.model.get("look").rect.w - 16
    const ran = Math.round(whole * Math.min(1, component.running))
    const blocked = Math.round(whole * Math.min(1 - ran / whole, component.blocked))
    if (shown.ran !== ran) this.ran.setAttribute("width", shown.ran = ran)
    if (shown.blocked !== blocked || shown.at !== ran) {
      this.blocked.setAttribute("x", 8 + ran)
      this.blocked.setAttribute("width", blocked)
      shown.blocked = blocked
      shown.at = ran
    }
  },
})

export const WireView = dia.LinkView.extend({
  render() {
    this.vel.empty()
    this.el.setAttribute("class", "joint-cell joint-link wire")
    this.wire = this.model.get("wire")
    this.hit = s("path", {class: "hit"})
    this.line = s("path", {class: "line", "stroke-width": 1.5})
    this.el.append(this.hit, this.line)
    this.label = this.queue = null
    this.shown = {}
    this.update()
    this.figures()
    return this
  },

  /** Draw the line anew; where its ends are is known without measuring anything. */
  update() {
    const {from, to} = this.model.get("ends")()
    this.sourcePoint = this.sourceAnchor = new joint.g.Point(from.x, from.y)
    this.targetPoint = this.targetAnchor = new joint.g.Point(to.x, to.y)
    const {d, middle} = curve(from, to)
    if (!this.line || d === this.d) return this
    this.d = d
    this.middle = middle
    this.hit.setAttribute("d", d)
    this.line.setAttribute("d", d)
    this.box = {x: Math.min(from.x, to.x) - 60, y: Math.min(from.y, to.y) - 60, w: Math.abs(to.x - from.x) + 120, h: Math.abs(to.y - from.y) + 120}
    if (this.label) this.placeLabels()
    return this
  },

  /** Draw the rest of it: the texts. */
  complete() {
    if (this.label) return
    this.label = s("text", {class: "rate", "text-anchor": "middle"})
    this.queue = s("text", {class: "queue", "text-anchor": "middle"})
    this.el.append(this.label, this.queue)
    this.placeLabels()
    this.shown = {}
    this.figures()
  },

  placeLabels() {
    const [x, y] = this.middle
    this.label.setAttribute("x", x)
    this.label.setAttribute("y", y - 7)
    this.queue.setAttribute("x", x)
    this.queue.setAttribute("y", y + 15)
  },

  requestConnectionUpdate() {
    this.update()
  },

  /** Write the latest figures into the picture. */
  figures() {
    let passing = 0, fill = 0, waiting = 0, size = 0, dropped = 0, open = false, feedback = false
    for (const link of this.wire.links) {
      passing += link.rate ?? 0
      dropped += link.dropped
      open ||= link.open
      feedback ||= link.feedback
      if (link.fill >= fill) [fill, waiting, size] = [link.fill, link.waiting, link.size]
    }
    const {shown} = this
    const width = passing > 0.05 ? Math.round(10 * Math.min(8, 1.6 + 1.3 * Math.log10(1 + passing))) / 10 : 1.3
    if (shown.width !== width) this.line.setAttribute("stroke-width", shown.width = width)
    const level = fill >= 0.98 ? "full" : fill >= 0.75 ? "high" : fill >= 0.4 ? "half" : passing > 0.05 ? "moving" : "quiet"
    const look = `line ${level}${open ? "" : " closed"}${feedback ? " feedback" : ""}${dropped ? " drops" : ""}`
    if (shown.look !== look) this.line.setAttribute("class", shown.look = look)
    if (!this.label) return
    const text = passing > 0.005 ? rate(passing) : ""
    if (shown.text !== text) say(this.label, shown.text = text)
    let queue = fill >= 0.4 ? `${short(waiting)}/${short(size)}` : ""
    if (dropped) queue += ` \u2212${short(dropped)} dropped`
    if (shown.queue !== queue) say(this.queue, shown.queue = queue)
    const loud = fill >= 0.75 || dropped ? "queue loud" : "queue"
    if (shown.loud !== loud) this.queue.setAttribute("class", shown.loud = loud)
  },
})

/** A line from one port to another, which leaves and comes in level; and where on it there is room for a text. */
export function curve(from, to) {
  const dx = to.x - from.x, dy = to.y - from.y
  const x = (from.x + to.x) / 2, y = (from.y + to.y) / 2
  if (dx >= 0 && Math.abs(dy) < 0.5) return {d: `M${from.x} ${from.y}H${to.x}`, middle: [x, y]}
  if (dx >= 30) {
    const bend = Math.max(dx / 2, Math.min(40, Math.abs(dy) / 3))
    return {d: path(from, [from.x + bend, from.y, to.x - bend, to.y, to.x, to.y]), middle: [x, y]}
  }
  // Backward: out to the right, across, and in from the left. The way across is below what is between or, where
  // one end is far below the other, just above that: what stands between them is passed at its side.
  const out = Math.min(120, 40 + Math.abs(dx) / 8)
  const low = Math.max(from.y, to.y), far = Math.abs(dy) >= 200
  const across = far ? low - 60 : Math.abs(dy) < 60 ? low + 60 : y
  const there = [from.x + out, from.y, from.x + out, across, x, across]
  const back = [2 * x - from.x - out, across, to.x - out, to.y, to.x, to.y]
  const middle = !far ? [x, across] : dy > 0 ? halfway([from.x, from.y, ...there]) : halfway([x, across, ...back])
  return {d: path(from, there, back), middle}
}

const path = (from, ...pieces) => `M${from.x} ${from.y}` + pieces.map(piece => `C${piece.map(one => Math.round(one * 10) / 10).join(" ")}`).join("")

/** The point in the middle of a piece of a curve, which eight numbers describe. */
const halfway = ([x0, y0, x1, y1, x2, y2, x3, y3]) => [(x0 + 3 * x1 + 3 * x2 + x3) / 8, (y0 + 3 * y1 + 3 * y2 + y3) / 8]
