// What of the system is on the picture: which parts, and which links between them.
//
// A chassis that is unfolded is a frame around its parts; folded it is a part like others. A link whose end is
// in a folded part leads to that part; those that then lead from the same to the same are one wire.

const AT_FIRST = 70 // parts that are shown without being asked for
const CROWD = 14 // a chassis of more than so many parts is folded at first

export class Scene {
  constructor(model) {
    this.model = model
    this.unfolded = new Set() // paths
    this.decided = new Set() // paths of those about which people, or we, have decided
    this.nodes = new Map() // n -> {component, frame, children, ports}
    this.wires = new Map() // key -> {key, from, fromBox, to, toBox, links}
  }

  /** Forget which parts are unfolded. */
  clear() {
    this.unfolded.clear()
    this.decided.clear()
  }

  isUnfolded(component) {
    return component.children.size > 0 && this.unfolded.has(component.path)
  }

  /** Decide what is folded of what has not been there before: as much is shown as can be understood. */
  decide() {
    let count = this.model.roots.size
    let level = [...this.model.roots]
    while (level.length) {
      const next = []
      for (const component of level) {
        if (!component.children.size) continue
        if (!this.decided.has(component.path)) {
          this.decided.add(component.path)
          const few = component.children.size <= CROWD || this.model.roots.size === 1 && component.children.size <= AT_FIRST
          if (few && count + component.children.size <= AT_FIRST || this.model.roots.size === 1 && component.parent === null) {
            this.unfolded.add(component.path)
          }
        }
        if (this.unfolded.has(component.path)) {
          count += component.children.size
          next.push(...component.children)
        }
      }
      level = next
    }
  }

  /** Find out what is shown. */
  build() {
    this.decide()
    const nodes = new Map()
    const visit = (component, depth) => {
      const frame = this.isUnfolded(component)
      nodes.set(component.n, {n: component.n, component, frame, depth, parent: component.parent, children: []})
      if (frame) {
        for (const child of component.children) {
          nodes.get(component.n).children.push(child.n)
          visit(child, depth + 1)
        }
      }
    }
    for (const root of this.model.roots) visit(root, 0)
    this.nodes = nodes
    const wires = new Map()
    for (const link of this.model.links.values()) {
      const from = this.end(link.from)
      const to = this.end(link.to)
      if (!from || !to) continue
      // What stays in a folded part is not seen; nor what a part tells itself by no box that others see.
      if (from.n === to.n && !(this.hasBox(from) && this.hasBox(to))) continue
      const key = `${from.n}.${from.box ?? ""}>${to.n}.${to.box ?? ""}`
      const wire = wires.get(key)
      if (wire) wire.links.push(link)
      else wires.set(key, {key, from: from.n, fromBox: from.box, to: to.n, toBox: to.box, links: [link]})
    }
    this.wires = wires
    for (const node of nodes.values()) this.ports(node)
    return this
  }

  /** Where an end of a link is seen: a node, and its box (null where the box is that of a part inside). */
  end(given) {
    if (!given) return null
    let component = this.model.components.get(given[0])
    let box = given[1]
    while (component && !this.nodes.has(component.n)) {
      component = this.model.components.get(component.parent)
      box = null
    }
    return component ? {n: component.n, box} : null
  }

  hasBox({n, box}) {
    return this.model.components.get(n).boxes.some(one => one.name === box)
  }

  /** The ports of a node: its boxes, and one without a name for links that lead further in. */
  ports(node) {
    const {boxes} = node.component
    node.in = boxes.filter(box => box.direction === "in")
    node.out = boxes.filter(box => box.direction === "out")
  }

  /** Show a part: unfold all that it is in. Says whether that has changed anything. */
  reveal(component) {
    let changed = false
    for (const one of this.model.around(component)) {
      if (!this.unfolded.has(one.path)) {
        this.unfolded.add(one.path)
        this.decided.add(one.path)
        changed = true
      }
    }
    return changed
  }

  /** The node in which a component is seen. */
  nodeOf(component) {
    while (component && !this.nodes.has(component.n)) component = this.model.components.get(component.parent)
    return component ? this.nodes.get(component.n) : null
  }

  /** All parts that are at most so many links away from one, and the frames around them. A link that leads
  through the edge of a frame is one link. */
  neighbourhood(n, steps) {
    const beside = new Map() // of a part, or a port of a frame: what wires lead to from there
    const name = (n, box) => this.nodes.get(n).frame ? `${n}.${box}` : n
    const note = (one, two) => beside.set(one, [...beside.get(one) ?? [], two])
    for (const {from, fromBox, to, toBox} of this.wires.values()) {
      const one = name(from, fromBox), two = name(to, toBox)
      note(one, two)
      note(two, one)
    }
    const parts = one => this.nodes.get(one).frame ? this.nodes.get(one).children.flatMap(parts) : [one]
    const seen = new Set(parts(n))
    let edge = [...seen]
    for (let step = 0; step < steps; step++) {
      const next = []
      const passed = new Set() // ports of frames, which do not count
      const visit = one => {
        for (const other of beside.get(one) ?? []) {
          if (seen.has(other) || passed.has(other)) continue
          if (typeof other === "number") {
            seen.add(other)
            next.push(other)
          } else {
            passed.add(other)
            visit(other)
          }
        }
      }
      edge.forEach(visit)
      edge = next
    }
    for (const one of [...seen]) {
      for (let at = this.nodes.get(one).parent; this.nodes.has(at); at = this.nodes.get(at).parent) seen.add(at)
    }
    return seen
  }
}
