// What is known of the system: its parts and links by their numbers, and their latest figures.
//
// The first frame has everything, later ones only what has changed. A number is never used again within a
// connection; what has to outlast one (places, what is folded) goes by paths.

const KEPT = 480 // values of a history: two minutes at four a second
const EVENTS = 300

export class Component {
  constructor(given) {
    Object.assign(this, {n: given.n, path: given.path, parent: given.parent, type: given.type, body: given.body})
    this.describe(given)
    this.name = given.path.slice(given.path.lastIndexOf("/") + 1)
    this.children = new Set()
    this.links = new Set() // all that begin or end at one of its boxes
    this.figure(["new", 0, 0, null, 0, 0, 0])
  }

  describe(given) {
    this.boxes = given.boxes.map(([name, direction, type, boundary]) => ({name, direction, type, boundary}))
  }

  figure([state, running, blocked, waitsFor, steps, restarts, failures]) {
    Object.assign(this, {state, running, blocked, waitsFor, steps, restarts, failures})
  }
}

export class Link {
  constructor(given, before = null) {
    Object.assign(this, {n: given.n, from: given.from, to: given.to, whenFull: given.when_full})
    this.feedback = given.feedback
    this.outside = given.outside
    this.figure([0, 0, 0, 0, 0, true])
    if (before) this.figure([before.passed, before.rate, before.waiting, before.size, before.dropped, before.open])
    this.history = before?.history ?? null
  }

  figure([passed, rate, waiting, size, dropped, open]) {
    Object.assign(this, {passed, rate, waiting, size, dropped, open})
  }

  /** How full the queue at its end is, from 0 to 1. */
  get fill() {
    return this.size ? Math.min(1, this.waiting / this.size) : 0
  }
}

export class Model {
  constructor() {
    this.clear()
  }

  clear() {
    this.components = new Map()
    this.byPath = new Map()
    this.links = new Map()
    this.roots = new Set()
    this.stuck = null
    this.diagnosis = null
    this.events = []
    this.missed = 0
    this.leftOut = 0
    this.time = 0
    this.times = [] // of the frames, for the histories
    this.began = null // what the clock of the system was with the first frame
  }

  /** Take a frame in. Returns what has changed: {anew, structure, components, links, diagnosis, events}. */
  apply(frame) {
    const changed = {anew: false, structure: false, components: new Set(), links: new Set(), diagnosis: false, events: []}
    if (frame.frame === 1 || "components" in frame) {
      this.clear()
      this.add(frame.components ?? [], frame.links ?? [])
      changed.anew = changed.structure = true
    }
    this.time = frame.time
    this.began ??= frame.time
    this.missed += frame.missed ?? 0
    for (const n of frame.removed?.links ?? []) this.removeLink(n)
    for (const n of frame.removed?.components ?? []) this.removeComponent(n)
    if (frame.removed) changed.structure = true
    if (frame.added) {
      this.add(frame.added.components ?? [], frame.added.links ?? [])
      changed.structure = true
    }
    for (const n in frame.c) {
      const component = this.components.get(+n)
      if (!component) continue
      component.figure(frame.c[n])
      changed.components.add(component)
    }
    for (const n in frame.l) {
      const link = this.links.get(+n)
      if (!link) continue
      link.figure(frame.l[n])
      changed.links.add(link)
    }
    if ("stuck" in frame) {
      this.stuck = frame.stuck
      changed.diagnosis = true
    }
    if ("diagnosis" in frame) {
      this.diagnosis = frame.diagnosis
      changed.diagnosis = true
    }
    this.leftOut += frame.events_left_out ?? 0
    for (const [number, time, what, path, detail] of frame.events ?? []) {
      const event = {number, time, what, path, detail}
      this.events.push(event)
      changed.events.push(event)
    }
    if (this.events.length > EVENTS) this.events.splice(0, this.events.length - EVENTS)
    this.keep()
    return changed
  }

  add(components, links) {
    for (const given of components) {
      const known = this.components.get(given.n)
      if (known) { // it is described anew: its boxes have changed
        known.describe(given)
        continue
      }
      const made = new Component(given)
      this.components.set(made.n, made)
      this.byPath.set(made.path, made)
      const parent = this.components.get(made.parent)
      if (parent) parent.children.add(made)
      else this.roots.add(made)
    }
    for (const given of links) {
      const known = this.links.get(given.n)
      if (known) this.removeLink(given.n)
      const made = new Link(given, known)
      this.links.set(made.n, made)
      this.components.get(made.from?.[0])?.links.add(made)
      this.components.get(made.to?.[0])?.links.add(made)
    }
  }

  removeLink(n) {
    const link = this.links.get(n)
    if (!link) return
    this.links.delete(n)
    this.components.get(link.from?.[0])?.links.delete(link)
    this.components.get(link.to?.[0])?.links.delete(link)
  }

  removeComponent(n) {
    const component = this.components.get(n)
    if (!component) return
    for (const link of [...component.links]) this.removeLink(link.n)
    this.components.delete(n)
    if (this.byPath.get(component.path) === component) this.byPath.delete(component.path)
    this.components.get(component.parent)?.children.delete(component)
    this.roots.delete(component)
  }

  /** Keep the rates of this frame. A link has a history from when something has passed it. */
  keep() {
    this.times.push(this.time)
    const late = this.times.length > KEPT
    if (late) this.times.shift()
    for (const link of this.links.values()) {
      if (!link.history) {
        if (!link.passed) continue
        const empty = new Array(this.times.length - 1).fill(null)
        link.history = {rate: empty, waiting: empty.slice()}
      }
      link.history.rate.push(link.rate)
      link.history.waiting.push(link.waiting)
      if (link.history.rate.length > this.times.length) {
        link.history.rate.shift()
        link.history.waiting.shift()
      }
    }
  }

  /** A time on the clock of the system, in seconds since somebody looks. */
  since(time) {
    const seconds = time - (this.began ?? time)
    return `${seconds < 0 ? "\u2212" : ""}${Math.abs(seconds).toFixed(1)} s`
  }

  /** The components around one, from the outermost. */
  around(component) {
    const found = []
    for (let one = this.components.get(component.parent); one; one = this.components.get(one.parent)) found.unshift(one)
    return found
  }

  /** The fullest inbox of a component: {waiting, size}, or null. */
  fullest(component) {
    let found = null
    for (const link of component.links) {
      if (link.to?.[0] === component.n && link.size && (!found || link.fill > found.fill)) found = link
    }
    return found
  }
}
