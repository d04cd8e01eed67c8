// The picture: a paper of joint with the parts and wires of a scene, moved and zoomed by pointer and keys.
//
// Figures come several times a second and go straight into the SVG, once for each frame of the screen, and only
// into what is in view. What is out of view is not in the document at all; zoomed out far, words are left out.

import {s, still} from "./dom.js"
import {Part, PartView, Wire, WireView} from "./shapes.js"

const {dia} = joint
const NEAREST = 2.5, FARTHEST = 0.04
const MARGIN = 240 // beyond the edge of the window that is drawn as well, in pixels
const WORDS = 0.55 // zoom below which only names are written, large
const NAMES = 0.22 // zoom below which nothing is written
const BUDGET = 6 // milliseconds of a frame of the screen in which figures are written
const FLASH = 1500 // milliseconds for which a part shows that something has happened to it

const Paper = dia.Paper.extend({stylesheet: ""}) // a style element is against our policy: see style.css

export class Picture extends EventTarget {
  /** Events: "choose" (detail: {component} or {wire}), "fold" (detail: node), "moved". */
  constructor(host, scene, places, views = {part: PartView, wire: WireView}) {
    super()
    this.host = host
    this.scene = scene
    this.places = places
    const names = {studio: {Part, PartView: views.part, Wire, WireView: views.wire}}
    this.graph = new dia.Graph({}, {cellNamespace: names})
    this.paper = new Paper({
      el: host.appendChild(document.createElement("div")),
      model: this.graph,
      cellViewNamespace: names,
      width: "100%",
      height: "100%",
      interactive: false,
      async: false,
      sorting: dia.Paper.sorting.APPROX,
      preventDefaultBlankAction: false,
      clickThreshold: 4,
      background: false,
    })
    this.svg = this.paper.svg
    this.svg.setAttribute("aria-hidden", "true")
    this.svg.style.overflow = "visible" // joint says "hidden", which would cut off what is moved into view
    this.views = new Map() // id -> view
    this.wireOf = new Map() // link -> id of the view in which it is seen
    this.view = {x: 0, y: 0, k: 1}
    this.base = {x: 0, y: 0, k: 1} // what the transform inside of the SVG says
    this.wanted = false // a frame of the screen has been asked for
    this.stale = new Set() // ids of views with new figures
    this.hidden = new Set() // ids of views that are not in the document
    this.dim = null // the numbers that are not dimmed, where only a neighbourhood is shown
    this.chosen = null
    this.blamed = {culprit: null, held: new Set()}
    this.frozen = false
    this.fitted = false // all of it is shown, and nobody has moved it since
    this.listen()
  }

  // -- what is drawn --------------------------------------------------------------------------------

  /** Draw what is in the scene now. */
  draw() {
    const {scene, places} = this
    const cells = [], gone = []
    const wanted = new Set()
    for (const node of scene.nodes.values()) {
      const id = `c${node.n}`
      wanted.add(id)
      const rect = places.rects.get(node.n)
      const look = {node, rect, ports: places.ports.get(node.n)}
      const old = this.views.get(id)
      if (!old) {
        cells.push(new Part({
          id, look, position: {x: rect.x, y: rect.y}, size: {width: rect.w, height: rect.h},
          z: node.frame ? node.depth : 2000,
        }))
        continue
      }
      const cell = old.model
      const before = cell.get("look")
      const same = before.node.frame === node.frame && before.rect.w === rect.w && before.rect.h === rect.h &&
        samePorts(before.ports, look.ports) && before.node.component === node.component &&
        before.node.component.children.size > 0 === node.component.children.size > 0
      cell.set("look", look, {silent: true})
      old.node = node
      if (!same) {
        if (cell.get("z") !== (node.frame ? node.depth : 2000)) cell.set("z", node.frame ? node.depth : 2000)
        cell.set("size", {width: rect.w, height: rect.h}, {silent: true})
        this.show(id)
        old.render()
        if (this.range !== "far") old.complete()
        this.stamp(id)
      }
      const at = cell.position()
      if (at.x !== rect.x || at.y !== rect.y) cell.position(rect.x, rect.y)
    }
    this.wireOf.clear()
    for (const wire of scene.wires.values()) {
      const id = `w${wire.key}`
      for (const link of wire.links) this.wireOf.set(link, id)
      wanted.add(id)
      const old = this.views.get(id)
      const ends = () => ({
        from: places.end(scene, wire.from, wire.fromBox, "out", wire.to),
        to: places.end(scene, wire.to, wire.toBox, "in", wire.from),
      })
      if (!old) {
        cells.push(new Wire({id, wire, ends, source: {id: `c${wire.from}`}, target: {id: `c${wire.to}`}, z: 1000}))
        continue
      }
      old.model.set({wire, ends}, {silent: true})
      old.wire = wire
      this.stale.add(id)
    }
    for (const id of this.views.keys()) if (!wanted.has(id)) gone.push(id)
    for (const id of gone) {
      this.show(id)
      this.views.delete(id)
      this.stale.delete(id)
    }
    if (gone.length) this.graph.removeCells(gone.map(id => this.graph.getCell(id)).filter(Boolean))
    if (cells.length) this.graph.addCells(cells)
    const fresh = new Set()
    for (const cell of cells) {
      const view = cell.findView(this.paper)
      fresh.add(cell.id)
      this.views.set(cell.id, view)
      this.stamp(cell.id)
    }
    for (const wire of scene.wires.values()) {
      const id = `w${wire.key}`
      if (!fresh.has(id)) this.views.get(id).update()
    }
    this.cull()
    this.ask()
  }

  /** New figures have come for some components and links. */
  figures(components, links) {
    for (const component of components) if (this.views.has(`c${component.n}`)) this.stale.add(`c${component.n}`)
    for (const link of links) {
      const id = this.wireOf.get(link)
      if (id) this.stale.add(id)
    }
    this.ask()
  }

  ask() {
    if (this.wanted) return
    this.wanted = true
    requestAnimationFrame(() => this.paint())
  }

  paint() {
    this.wanted = false
    if (this.moved) {
      this.moved = false
      const {x, y, k} = this.view
      // A transform inside of the SVG has all of it laid out anew, one of the whole has not: so only zooming
      // changes the former.
      if (k !== this.base.k) {
        this.base = {x, y, k}
        this.paper.layers.setAttribute("transform", `matrix(${k} 0 0 ${k} ${x} ${y})`)
      }
      this.svg.style.transform = `translate(${x - this.base.x}px, ${y - this.base.y}px)`
      const range = k >= WORDS ? "near" : k >= NAMES ? "middle" : "far"
      if (range !== this.range) {
        this.svg.setAttribute("class", this.range = range)
        if (range !== "far") for (const [id, view] of this.views) if (!this.hidden.has(id)) view.complete()
      }
      const {seen} = this
      if (!seen || k !== seen.k || Math.abs(x - seen.x) > MARGIN / 2 || Math.abs(y - seen.y) > MARGIN / 2) this.cull()
    }
    if (this.frozen) return
    const began = performance.now()
    for (const id of this.stale) {
      if (this.hidden.has(id)) continue
      this.views.get(id)?.figures()
      this.stale.delete(id)
      if (performance.now() - began > BUDGET) { // the rest with the next frame
        this.ask()
        return
      }
    }
  }

  /** Take out of the document what is out of view. */
  cull() {
    const {width, height} = this.window()
    const {x, y, k} = this.seen = {...this.view}
    const left = (-x - MARGIN) / k, top = (-y - MARGIN) / k
    const right = (width - x + MARGIN) / k, bottom = (height - y + MARGIN) / k
    for (const [id, view] of this.views) {
      const box = id[0] === "c" ? this.places.rects.get(view.node.n) : view.box
      if (!box) continue
      const out = box.x > right || box.y > bottom || box.x + box.w < left || box.y + box.h < top
      if (out === this.hidden.has(id)) {
        if (!out && this.range && this.range !== "far") view.complete()
        continue
      }
      if (out) this.hide(id)
      else this.show(id)
    }
  }

  hide(id) {
    this.hidden.add(id)
    this.views.get(id).el.setAttribute("display", "none")
  }

  show(id) {
    if (!this.hidden.delete(id)) return
    if (this.range !== "far") this.views.get(id).complete()
    this.views.get(id).el.removeAttribute("display")
    if (this.stale.has(id)) this.ask()
  }

  // -- what is marked -------------------------------------------------------------------------------

  /** Put the marks of a view on it: chosen, blamed, held up, dimmed. */
  stamp(id) {
    const view = this.views.get(id)
    if (!view) return
    const {classList} = view.el
    classList.toggle("chosen", this.chosen === id)
    if (id[0] === "c") {
      const guilty = this.blamed.culprit === view.node.n
      classList.toggle("guilty", guilty)
      classList.toggle("held", this.blamed.held.has(view.node.n))
      if (guilty && !view.flag) {
        view.flag = s("g", {class: "flag"}, s("rect", {x: 0, y: -25, width: 132, height: 20, rx: 5}),
          s("text", {x: 66, y: -11, "text-anchor": "middle"}, "\u2691 holds up others"))
        view.flag.style.setProperty("--high", `${this.places.rects.get(view.node.n)?.h ?? 80}px`)
        view.el.append(view.flag)
      } else if (!guilty && view.flag) {
        view.flag.remove()
        view.flag = null
      }
      classList.toggle("dimmed", this.dim !== null && !this.dim.has(view.node.n))
    } else {
      classList.toggle("dimmed", this.dim !== null && !(this.dim.has(view.wire.from) && this.dim.has(view.wire.to)))
    }
  }

  stampAll() {
    for (const id of this.views.keys()) this.stamp(id)
  }

  choose(id) {
    const before = this.chosen
    this.chosen = id
    this.stamp(before)
    this.stamp(id)
  }

  /** Say who holds up whom: numbers of nodes. */
  blame(culprit, held) {
    this.blamed = {culprit, held}
    this.stampAll()
  }

  /** Show only some nodes; null for all. */
  only(numbers) {
    this.dim = numbers
    this.stampAll()
  }

  /** Something has happened to a component. */
  flash(n, what) {
    const view = this.views.get(`c${n}`)
    if (!view || this.hidden.has(`c${n}`)) return
    const name = `flash-${what}`
    view.el.classList.add(name)
    setTimeout(() => view.el.classList.remove(name), FLASH)
  }

  // -- where one looks ------------------------------------------------------------------------------

  window() {
    return {width: this.host.clientWidth || 800, height: this.host.clientHeight || 600}
  }

  look(x, y, k) {
    this.view = {x, y, k: Math.min(NEAREST, Math.max(FARTHEST, k))}
    this.moved = true
    this.ask()
  }

  pan(dx, dy) {
    this.turn = null
    this.fitted = false
    this.look(this.view.x + dx, this.view.y + dy, this.view.k)
  }

  zoom(factor, cx = this.window().width / 2, cy = this.window().height / 2) {
    this.turn = null
    this.fitted = false
    const {x, y, k} = this.view
    const next = Math.min(NEAREST, Math.max(FARTHEST, k * factor))
    this.look(cx - (cx - x) * next / k, cy - (cy - y) * next / k, next)
  }

  bounds(numbers) {
    let left = Infinity, top = Infinity, right = -Infinity, bottom = -Infinity
    for (const n of numbers) {
      const rect = this.places.rects.get(n)
      if (!rect) continue
      left = Math.min(left, rect.x)
      top = Math.min(top, rect.y)
      right = Math.max(right, rect.x + rect.w)
      bottom = Math.max(bottom, rect.y + rect.h)
    }
    return left < right ? {x: left, y: top, w: right - left, h: bottom - top} : null
  }

  /** How many times wider than high the window is. */
  get ratio() {
    const {width, height} = this.window()
    return Math.min(3, Math.max(0.5, width / height))
  }

  /** Show all of it, or all of some nodes. */
  fit(numbers = null, nearest = 1.1) {
    const whole = numbers === null
    const box = this.bounds(numbers ?? this.scene.nodes.keys())
    if (!box) return
    const {width, height} = this.window()
    const room = 36, foot = document.getElementById("legend")?.offsetHeight ?? 0
    const k = Math.min(nearest, Math.max(FARTHEST, Math.min((width - room) / box.w, (height - room - foot) / box.h)))
    this.glide((width - box.w * k) / 2 - box.x * k, (height - foot - box.h * k) / 2 - box.y * k, k, whole)
  }

  /** More has come: what showed all of it before, still does. */
  follow() {
    const box = this.fitted && this.bounds(this.scene.nodes.keys())
    if (!box) return
    const {x, y, k} = this.view
    const {width, height} = this.window()
    const inside = box.x * k + x >= 0 && box.y * k + y >= 0 && (box.x + box.w) * k + x <= width && (box.y + box.h) * k + y <= height
    if (!inside) this.fit()
  }

  /** Bring a node into the middle, near enough to be read. */
  centre(n) {
    const rect = this.places.rects.get(n)
    if (!rect) return
    this.fitted = false
    const {width, height} = this.window()
    const k = Math.max(this.view.k, Math.min(0.85, Math.min(width / (rect.w + 80), height / (rect.h + 80))))
    this.glide(width / 2 - (rect.x + rect.w / 2) * k, height / 2 - (rect.y + rect.h / 2) * k, k)
  }

  glide(x, y, k, whole = false) {
    const from = {...this.view}
    const began = performance.now()
    const time = still() || !this.drawn ? 0 : 220
    this.drawn = true
    const turn = this.turn = {} // a later glide, or a hand, takes this one's place
    const step = now => {
      if (this.turn !== turn) return
      const share = time ? Math.min(1, (now - began) / time) : 1
      const ease = 1 - (1 - share) ** 3
      this.look(from.x + (x - from.x) * ease, from.y + (y - from.y) * ease, from.k + (k - from.k) * ease)
      if (share < 1) requestAnimationFrame(step)
      else this.fitted = whole
    }
    if (time) requestAnimationFrame(step)
    else step(began)
  }

  // -- pointer and keys -----------------------------------------------------------------------------

  listen() {
    const {paper, host} = this
    paper.on("blank:pointerdown", event => this.drag(event, (dx, dy) => this.pan(dx, dy)))
    paper.on("link:pointerdown", (view, event) => this.drag(event, (dx, dy) => this.pan(dx, dy)))
    paper.on("element:pointerdown", (view, event) => {
      this.drag(event, (dx, dy) => {
        const {k} = this.view
        this.places.move(this.scene, view.node.n, dx / k, dy / k)
        this.draw()
        this.dispatchEvent(new Event("moved"))
      })
    })
    paper.on("element:pointerclick", (view, event) => {
      if (event.target.closest?.(".folder")) this.dispatchEvent(new CustomEvent("fold", {detail: view.node}))
      else this.dispatchEvent(new CustomEvent("choose", {detail: {component: view.node.component}}))
    })
    paper.on("element:pointerdblclick", view => {
      if (view.node.component.children.size) this.dispatchEvent(new CustomEvent("fold", {detail: view.node}))
    })
    paper.on("link:pointerclick", view => this.dispatchEvent(new CustomEvent("choose", {detail: {wire: view.wire}})))
    host.addEventListener("wheel", event => {
      event.preventDefault()
      const box = host.getBoundingClientRect()
      const notches = event.deltaMode === 1 || event.deltaX === 0 && Math.abs(event.deltaY) >= 50
      if (event.ctrlKey || event.metaKey || notches) {
        const amount = event.deltaMode === 1 ? event.deltaY * 30 : event.deltaY
        this.zoom(Math.exp(-amount / (event.ctrlKey && !notches ? 100 : 400)), event.clientX - box.left, event.clientY - box.top)
      } else {
        this.pan(-event.deltaX, -event.deltaY)
      }
    }, {passive: false})
    host.addEventListener("keydown", event => {
      const step = 60
      const keys = {
        ArrowLeft: () => this.pan(step, 0), ArrowRight: () => this.pan(-step, 0),
        ArrowUp: () => this.pan(0, step), ArrowDown: () => this.pan(0, -step),
        "+": () => this.zoom(1.25), "=": () => this.zoom(1.25), "-": () => this.zoom(0.8), 0: () => this.fit(),
      }
      if (event.target === host && keys[event.key] && !event.ctrlKey && !event.metaKey && !event.altKey) {
        keys[event.key]()
        event.preventDefault()
      }
    })
    this.pinch()
    new ResizeObserver(() => {
      if (this.fitted) this.fit() // what showed all before, still does
      else if (this.seen) this.cull()
    }).observe(host)
  }

  /** Follow the pointer until it is let go. */
  drag(event, move) {
    let {clientX: x, clientY: y} = point(event)
    const follow = event => {
      const at = point(event)
      if (event.touches?.length > 1) { // which zooms; the one that stays goes on from where it is then
        x = at.clientX
        y = at.clientY
        return
      }
      if (at.clientX === x && at.clientY === y) return
      move(at.clientX - x, at.clientY - y)
      x = at.clientX
      y = at.clientY
    }
    const end = () => {
      for (const name of ["mousemove", "touchmove"]) document.removeEventListener(name, follow)
      for (const name of ["mouseup", "touchend", "touchcancel"]) document.removeEventListener(name, end)
      this.host.classList.remove("dragging")
    }
    this.host.classList.add("dragging")
    for (const name of ["mousemove", "touchmove"]) document.addEventListener(name, follow)
    for (const name of ["mouseup", "touchend", "touchcancel"]) document.addEventListener(name, end)
  }

  /** Two fingers zoom. */
  pinch() {
    let before = null
    const read = event => {
      const [one, two] = event.touches
      const box = this.host.getBoundingClientRect()
      return {
        x: (one.clientX + two.clientX) / 2 - box.left, y: (one.clientY + two.clientY) / 2 - box.top,
        d: Math.hypot(one.clientX - two.clientX, one.clientY - two.clientY),
      }
    }
    this.host.addEventListener("touchstart", event => {
      before = event.touches.length === 2 ? read(event) : null
    }, {passive: true})
    this.host.addEventListener("touchmove", event => {
      if (event.touches.length !== 2 || !before) return
      const now = read(event)
      this.pan(now.x - before.x, now.y - before.y)
      if (before.d > 0) this.zoom(now.d / before.d, now.x, now.y)
      before = now
      event.preventDefault()
    }, {passive: false})
  }
}

const point = event => event.touches?.[0] ?? event.originalEvent?.touches?.[0] ?? event.changedTouches?.[0] ?? event

function samePorts(one, two) {
  const same = (a, b) => a.size === b.size && [...a].every(([name, y]) => b.get(name) === y)
  return same(one.in, two.in) && same(one.out, two.out)
}
