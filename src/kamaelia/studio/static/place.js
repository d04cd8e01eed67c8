// Where the parts stand.
//
// Each part has a place relative to the frame that it is in, so a frame takes along what is in it, and its own
// size follows from that. A place once given is kept, also over a reload: in the browser's storage, by program
// and path. A new part is put beside those that it is linked to, where there is room; nobody else moves. Only
// who asks for it, with "Arrange", has all places given anew, by ELK, in a worker.
//
// A room, such as a Backplane, is linked both ways with parts that are deep within others. In a column before or
// behind these, half of its links would lead backward around everything; so it stands below them.
//
// A part that is unfolded, or in which the first parts begin, needs more room than it had. Only where others would
// stand in its way, what is to the right of it or below is moved by as much as it grows, and back when it is folded.
// For parts that come later nobody moves but a room, whose place is below.

export const WIDTH = 178
export const HEAD = 44 // of a part: name, and what it does
export const ROW = 17 // a port
const FOOT = 9
export const TITLE = 30 // of a frame
const PAD = 22
const SIDE = 52 // of a frame: left and right are ports with names
const GAP_X = 64
const GAP_Y = 26
const APART = 8 // at least, between two parts
const MOVED = 5000 // moves that are remembered of those who have made room for a part
const KEPT = 5000 // places that are stored for a program
const ELK_PATIENCE = 1300 // milliseconds for the first picture; after that it is drawn without ELK

/** The height of a part with so many rows of ports. */
export const heightOf = node => HEAD + ROW * Math.max(node.in.length, node.out.length, 1) + FOOT

export class Places {
  constructor() {
    this.key = null
    this.stored = new Map() // path -> [x, y]
    this.at = new Map() // n -> [x, y] relative to the frame around it
    this.rects = new Map() // n -> {x, y, w, h}, absolute
    this.ports = new Map() // n -> {in: Map name -> y, out: Map name -> y}, relative to the rect
    this.grown = new Map() // path of an unfolded part -> [[path, dx, dy], ...]: who has made room for it
    this.frames = new Set() // the numbers of those that were frames when places were last given
    this.elk = null
    this.gap = GAP_X // between columns
    this.options = {} // of ELK, in addition
    this.timer = 0
  }

  /** Use the places that are stored for a program. */
  open(program) {
    this.key = `kamaelia-studio places ${program}`
    this.stored.clear()
    this.grown.clear()
    try {
      for (const [path, place] of Object.entries(JSON.parse(localStorage.getItem(this.key) ?? "{}"))) {
        if (Array.isArray(place) && place.length === 2 && place.every(Number.isFinite)) this.stored.set(path, place)
      }
    } catch {
      // what somebody else has written there is no places
    }
  }

  /** Store all places, soon. */
  store() {
    clearTimeout(this.timer)
    this.timer = setTimeout(() => {
      const all = [...this.stored].slice(-KEPT).map(([path, [x, y]]) => [path, [Math.round(x), Math.round(y)]])
      try {
        localStorage.setItem(this.key, JSON.stringify(Object.fromEntries(all)))
      } catch {
        // the storage is full or forbidden: the places last as long as the page
      }
    }, 300)
  }

  put(node, x, y) {
    this.at.set(node.n, [x, y])
    this.stored.delete(node.component.path)
    this.stored.set(node.component.path, [x, y])
  }

  /** Give places to all nodes of a scene. With nothing known, this is the first picture. */
  async first(scene, shape) {
    this.at.clear()
    this.rects.clear() // of another system, perhaps, with the same numbers
    const known = [...scene.nodes.values()].filter(node => this.stored.has(node.component.path)).length
    if (known < scene.nodes.size / 2) {
      this.quick(scene)
      if (this.work(scene) <= 250) {
        const slow = new Promise(resolve => setTimeout(resolve, ELK_PATIENCE, false))
        await Promise.race([this.arrange(scene, shape).catch(() => null), slow])
      }
    } else {
      this.update(scene)
    }
  }

  /** How many nodes ELK would have to place. */
  work(scene) {
    return scene.nodes.size
  }

  /** The room that a node without parts takes when everything is arranged. */
  roomFor(node) {
    return [WIDTH, heightOf(node)]
  }

  /** Give places to those that have none yet, beside their neighbours; forget those that have gone. */
  update(scene) {
    const before = new Map(this.rects)
    for (const n of [...this.at.keys()]) if (!scene.nodes.has(n)) this.at.delete(n)
    const fresh = []
    for (const node of scene.nodes.values()) {
      if (this.at.has(node.n)) continue
      const place = this.stored.get(node.component.path)
      if (place) this.at.set(node.n, place)
      else fresh.push(node)
    }
    if (fresh.length) {
      // A frame none of whose parts has a place is laid out by itself; its parts have no neighbours yet.
      const whole = new Set()
      for (const node of fresh) {
        const parent = scene.nodes.get(node.parent)
        if (parent && !parent.children.some(n => this.at.has(n))) whole.add(parent)
      }
      for (const parent of [...whole].sort((one, two) => two.depth - one.depth)) this.within(scene, parent.children)
      this.measure(scene)
      const rooms = roomsOf(scene)
      for (const node of fresh) {
        if (this.at.has(node.n)) continue
        if (rooms.has(node.n)) this.below(scene, node, rooms.get(node.n))
        else this.beside(scene, node)
        this.measure(scene)
      }
      this.store()
    }
    this.measure(scene)
    this.settle(scene, before)
  }

  /** Put a new part beside those that it is linked to. */
  beside(scene, node) {
    const siblings = this.siblings(scene, node).map(one => one.n)
    const placed = siblings.filter(n => n !== node.n && this.at.has(n)).map(n => this.local(scene, n))
    const [w] = this.size(scene, node)
    const before = [], after = []
    for (const wire of scene.wires.values()) {
      if (wire.to === node.n && wire.from !== node.n && this.at.has(wire.from)) before.push(wire.from)
      if (wire.from === node.n && wire.to !== node.n && this.at.has(wire.to)) after.push(wire.to)
    }
    const own = new Set(siblings)
    const left = before.filter(n => own.has(n)).map(n => this.local(scene, n))
    const right = after.filter(n => own.has(n)).map(n => this.local(scene, n))
    let x, y
    if (left.length) {
      x = Math.max(...left.map(one => one.x + one.w)) + GAP_X
      y = mean(left.map(one => one.y))
    } else if (right.length) {
      x = Math.min(...right.map(one => one.x)) - GAP_X - w
      y = mean(right.map(one => one.y))
    } else if (placed.length) {
      x = Math.min(...placed.map(one => one.x))
      y = Math.max(...placed.map(one => one.y + one.h)) + GAP_Y
    } else {
      x = y = 0
    }
    this.putFree(scene, node, placed, x, y)
  }

  /** Put a room below the parts around it: in the middle of where its links lead. */
  below(scene, node, {partners, ends}) {
    const placed = this.siblings(scene, node).filter(one => one !== node && this.at.has(one.n))
    const [left] = this.origin(scene, node.parent)
    const beside = ends.map(([n, side]) => {
      const {x, w} = this.rects.get(n)
      return side === "out" ? x + w : x
    })
    const bottom = Math.max(...partners.map(n => this.local(scene, n)).map(one => one.y + one.h))
    this.putFree(scene, node, placed.map(one => this.local(scene, one.n)), mean(beside) - left - WIDTH / 2, bottom + 2 * GAP_Y)
  }

  /** Put a node where its corner is at a place: what is in a frame stands somewhere relative to the frame's own place. */
  putCorner(scene, node, x, y) {
    this.put(node, x, y)
    if (!node.frame) return
    const [left, top] = this.origin(scene, node.parent)
    const rect = this.rectOf(scene, node, left, top)
    this.put(node, x + (x - (rect.x - left)), y + (y - (rect.y - top)))
  }

  /** Put a node at a place or, where others stand there, as far below it as need be. */
  putFree(scene, node, placed, x, y) {
    const [w, h] = this.size(scene, node)
    const free = y => !placed.some(one =>
      x < one.x + one.w + GAP_Y && one.x < x + w + GAP_Y && y < one.y + one.h + GAP_Y - 6 && one.y < y + h + GAP_Y - 6)
    let step = 0
    while (!free(y + 20 * step) && step < 400) step++
    this.putCorner(scene, node, x, y + 20 * step)
  }

  /** The rect of a placed node relative to the frame that it is in. */
  local(scene, n) {
    const rect = this.rects.get(n)
    const [x, y] = this.at.get(n)
    const node = scene.nodes.get(n)
    if (!rect || !node.frame) {
      const [w, h] = this.size(scene, node)
      return {x, y, w, h}
    }
    const origin = this.origin(scene, node.parent)
    return {x: rect.x - origin[0], y: rect.y - origin[1], w: rect.w, h: rect.h}
  }

  /** The absolute place that those in a frame are relative to. */
  origin(scene, n) {
    let x = 0, y = 0
    for (let node = scene.nodes.get(n); node; node = scene.nodes.get(node.parent)) {
      const at = this.at.get(node.n) ?? [0, 0]
      x += at[0]
      y += at[1]
    }
    return [x, y]
  }

  size(scene, node) {
    if (!node.frame) return [WIDTH, heightOf(node)]
    const rect = this.rects.get(node.n)
    return rect ? [rect.w, rect.h] : [WIDTH, heightOf(node)]
  }

  /** Work out all rects and ports from the places. */
  measure(scene) {
    this.rects.clear()
    for (const node of scene.nodes.values()) if (node.depth === 0) this.rectOf(scene, node, 0, 0)
    this.findPorts(scene)
  }

  /** Work out the rect of a node, and of all in it, given the place that its own is relative to. */
  rectOf(scene, node, ox, oy) {
    const [dx, dy] = this.at.get(node.n) ?? [0, 0]
    const x = ox + dx, y = oy + dy
    let rect = {x, y, w: WIDTH, h: heightOf(node)}
    if (node.frame) {
      let left = Infinity, top = Infinity, right = -Infinity, bottom = -Infinity
      for (const n of node.children) {
        const inner = this.rectOf(scene, scene.nodes.get(n), x, y)
        left = Math.min(left, inner.x)
        top = Math.min(top, inner.y)
        right = Math.max(right, inner.x + inner.w)
        bottom = Math.max(bottom, inner.y + inner.h)
      }
      rect = {x: left - SIDE, y: top - PAD - TITLE + 8}
      rect.w = Math.max(right + SIDE - rect.x, WIDTH)
      rect.h = Math.max(bottom + PAD - rect.y, 20 * Math.max(node.in.length, node.out.length) + TITLE + 10)
    }
    this.rects.set(node.n, rect)
    return rect
  }

  /** Find where the ports are: in rows on a part, on a frame beside what they are wired to inside. */
  findPorts(scene) {
    const frames = new Map() // n -> Map box -> [y, ...] of what is wired to it inside
    const note = (frame, box, inner, innerBox, side) => {
      const found = frames.get(frame) ?? frames.set(frame, new Map()).get(frame)
      const rect = this.rects.get(inner)
      const row = scene.nodes.get(inner)[side].findIndex(one => one.name === innerBox)
      const y = rect.y + (scene.nodes.get(inner).frame ? rect.h / 2 : HEAD + ROW * (row + 0.5)) - this.rects.get(frame).y
      found.set(box, [...found.get(box) ?? [], y])
    }
    for (const wire of scene.wires.values()) {
      if (scene.nodes.get(wire.to).parent === wire.from && wire.fromBox) note(wire.from, wire.fromBox, wire.to, wire.toBox, "in")
      if (scene.nodes.get(wire.from).parent === wire.to && wire.toBox) note(wire.to, wire.toBox, wire.from, wire.fromBox, "out")
    }
    this.ports.clear()
    for (const node of scene.nodes.values()) {
      const rows = boxes => new Map(boxes.map((box, row) => [box.name, HEAD + ROW * (row + 0.5)]))
      const edges = boxes => {
        const wanted = boxes.map(box => [box.name, mean(frames.get(node.n)?.get(box.name) ?? [])])
        wanted.sort((one, two) => (one[1] ?? Infinity) - (two[1] ?? Infinity))
        let y = TITLE + 12
        return new Map(wanted.map(([name, near]) => {
          y = Math.max(y, Number.isFinite(near) ? near : y)
          const found = y
          y += 20
          return [name, Math.min(found, this.rects.get(node.n).h - 8)]
        }))
      }
      const find = node.frame ? edges : rows
      this.ports.set(node.n, {in: find(node.in), out: find(node.out)})
    }
  }

  /** Where a wire begins or ends: at the edge of a port, and which way it leads there (1: to the right). */
  end(scene, n, box, side, other) {
    const rect = this.rects.get(n)
    const node = scene.nodes.get(n)
    const inside = node.frame && isIn(scene, other, n)
    const ports = this.ports.get(n)
    let y = box === null ? undefined : ports[side].get(box) ?? ports.in.get(box) ?? ports.out.get(box)
    if (y === undefined) y = node.frame ? rect.h / 2 : HEAD - 10
    // An inbox of a frame lets what is outside in: inside, a wire begins at it.
    const left = box !== null && ports.in.has(box) || box === null && (side === "in") !== inside
    const x = left ? rect.x + (inside ? 6 : -6) : rect.x + rect.w + (inside ? -6 : 6)
    return {x, y: rect.y + y}
  }

  /** Move a node and all in it; the frames around it follow. */
  move(scene, n, dx, dy) {
    const node = scene.nodes.get(n)
    const [x, y] = this.at.get(n)
    this.put(node, x + dx, y + dy)
    this.measure(scene)
    this.store()
  }

  /** A part has been folded or unfolded: it stays where it was, and others make room for it or come back. */
  refold(scene, n) {
    const old = this.rects.get(n)
    this.update(scene)
    const node = scene.nodes.get(n)
    const rect = this.rects.get(n)
    if (!old || !rect) return
    if (!node.frame) {
      this.shift(node, old.x - rect.x, old.y - rect.y)
      this.measure(scene)
      this.giveBack(scene, node)
    }
    this.store()
  }

  /** Have others make room for frames that have grown since there were these rects, if they are in the way. */
  settle(scene, before) {
    const opened = new Set(), rooms = roomsOf(scene)
    const frames = [...scene.nodes.values()].filter(node => node.frame)
    for (const node of frames) if (!this.frames.has(node.n)) opened.add(node)
    this.noteFrames(scene)
    const grown = frames.filter(node => before.has(node.n)).sort((one, two) => two.depth - one.depth)
    for (const node of grown) { // the inner ones first: those around them grow with them
      const old = before.get(node.n), rect = this.rects.get(node.n)
      if (["x", "y", "w", "h"].every(what => old[what] === rect[what])) continue
      const cause = [...opened].find(one => isIn(scene, one.n, node.n))
      const others = this.siblings(scene, node).filter(other => other !== node && (cause || rooms.has(other.n)))
      const inTheWay = is => others.some(({n}) => meet(this.rects.get(node.n), this.rects.get(n)) && is(this.rects.get(n)))
      if (cause && (opened.has(node) || inTheWay(() => true))) {
        this.shift(node, old.x - rect.x, old.y - rect.y) // so it grows only to the right and downward
        this.measure(scene)
      }
      const push = (dx, dy, is) => {
        if (dx < 0 || dy < 0) return
        const pushed = others.filter(other => is(this.rects.get(other.n)))
        for (const other of pushed) this.shift(other, dx, dy)
        const {path} = (cause ?? node).component
        this.grown.set(path, [...this.grown.get(path) ?? [], ...pushed.map(other => [other.component.path, dx, dy])].slice(-MOVED))
        this.measure(scene)
        this.store()
      }
      const right = rect => rect.x >= old.x + old.w - 1, below = rect => rect.y >= old.y + old.h - 1
      if (inTheWay(rect => right(rect) && !below(rect))) push(this.rects.get(node.n).w - old.w, 0, right)
      if (inTheWay(() => true)) push(0, this.rects.get(node.n).h - old.h, below)
    }
  }

  shift(node, dx, dy) {
    const [x, y] = this.at.get(node.n)
    this.put(node, x + dx, y + dy)
  }

  siblings(scene, node) {
    const around = scene.nodes.get(node.parent)
    const numbers = around ? around.children : [...scene.nodes.values()].filter(one => one.depth === 0).map(one => one.n)
    return numbers.map(n => scene.nodes.get(n))
  }

  /** Who has made room for a part comes back, if nobody stands there now. */
  giveBack(scene, node) {
    const pushed = this.grown.get(node.component.path) ?? []
    this.grown.delete(node.component.path)
    const byPath = new Map([...scene.nodes.values()].map(one => [one.component.path, one]))
    const back = pushed.filter(([path]) => byPath.has(path))
    for (const [path, dx, dy] of back) this.shift(byPath.get(path), -dx, -dy)
    this.measure(scene)
    const collide = back.some(([path]) => {
      const one = byPath.get(path)
      return this.siblings(scene, one).some(other => other !== one && meet(this.rects.get(one.n), this.rects.get(other.n)))
    })
    if (!collide) return
    for (const [path, dx, dy] of back) this.shift(byPath.get(path), dx, dy)
    this.measure(scene)
  }

  // -- all places at once ----------------------------------------------------------------------------

  /** Have ELK give all places anew: in one go or, where that makes a long row, frame by frame and wrapped. */
  async arrange(scene, shape = 1.5) {
    this.elk ??= new ELK({workerUrl: "vendor/elk-worker.min.js"})
    let made = await this.elk.layout(this.elkGraph(scene, shape, false))
    if (made.width > 1500 && made.width / made.height > 2 * shape) {
      const wrapped = await this.elk.layout(this.elkGraph(scene, shape, true))
      const scale = one => Math.min(shape / one.width, 1 / one.height)
      if (scale(wrapped) > 1.25 * scale(made)) made = wrapped
    }
    const read = shape => {
      for (const child of shape.children ?? []) {
        const node = scene.nodes.get(+child.id)
        if (!node) continue // it has gone meanwhile
        this.put(node, child.x, child.y)
        read(child)
      }
    }
    read(made)
    this.grown.clear()
    this.placeRooms(scene, roomsOf(scene))
    this.noteFrames(scene)
    this.store()
  }

  /** Put rooms below those whom they serve, and work out all rects. */
  placeRooms(scene, rooms) {
    for (const n of rooms.keys()) this.at.delete(n)
    this.measure(scene)
    for (const [n, room] of rooms) {
      this.below(scene, scene.nodes.get(n), room)
      this.measure(scene)
    }
  }

  elkGraph(scene, shape, wrapped) {
    const within = new Map() // of a frame, or null: the nodes in it
    const parentOf = node => scene.nodes.has(node.parent) ? node.parent : null
    const rooms = roomsOf(scene)
    const kept = new Map() // of a frame: the height that is kept free in it for rooms
    for (const node of scene.nodes.values()) {
      const parent = parentOf(node)
      if (rooms.has(node.n)) {
        kept.set(parent, (kept.get(parent) ?? 0) + heightOf(node) + 2 * GAP_Y)
        continue
      }
      within.set(parent, [...within.get(parent) ?? [], node])
    }
    const ids = new Set()
    const gaps = {
      "elk.layered.spacing.nodeNodeBetweenLayers": String(this.gap), "elk.spacing.nodeNode": String(GAP_Y),
      "elk.layered.spacing.edgeNodeBetweenLayers": "14", "elk.spacing.edgeNode": "14", "elk.spacing.edgeEdge": "6",
      "elk.layered.spacing.edgeEdgeBetweenLayers": "6",
    }
    const options = wrapped ? {
      "elk.algorithm": "layered", "elk.direction": "RIGHT", "elk.aspectRatio": String(shape),
      "elk.layered.wrapping.strategy": "MULTI_EDGE", "elk.layered.wrapping.additionalEdgeSpacing": "20", ...gaps,
    } : gaps
    const port = (node, box, side, index) => {
      const id = `${node.n}.${side}.${box}`
      ids.add(id)
      const y = HEAD + ROW * (index + 0.5)
      return {
        id, width: 0, height: 0, ...(node.frame ? {} : {x: side === "in" ? 0 : WIDTH, y}),
        layoutOptions: {"elk.port.side": side === "in" ? "WEST" : "EAST"},
      }
    }
    const drawn = node => ({
      id: String(node.n),
      width: this.roomFor(node)[0],
      height: this.roomFor(node)[1],
      ports: [...node.in.map((box, i) => port(node, box.name, "in", i)), ...node.out.map((box, i) => port(node, box.name, "out", i))],
      children: node.frame ? (within.get(node.n) ?? []).map(drawn) : [],
      layoutOptions: {
        ...(node.frame ? {...options, ...(wrapped ? {"elk.aspectRatio": "4"} : {})} : {}),
        "elk.portConstraints": node.frame ? "FIXED_SIDE" : "FIXED_POS",
        "elk.padding": `[top=${PAD + TITLE - 8},left=${SIDE},bottom=${PAD + (kept.get(node.n) ?? 0)},right=${SIDE}]`,
        "elk.nodeSize.constraints": node.frame ? "MINIMUM_SIZE" : "",
        "elk.nodeSize.minimum": `(${WIDTH}, ${heightOf(node)})`,
      },
    })
    const children = (within.get(null) ?? []).map(drawn)
    const wires = [...scene.wires.values()].filter(wire => !rooms.has(wire.from) && !rooms.has(wire.to))
    const edges = wires.map(wire => {
      const end = (n, box, ...sides) => sides.map(side => `${n}.${side}.${box}`).find(id => ids.has(id)) ?? String(n)
      return {id: wire.key, sources: [end(wire.from, wire.fromBox, "out", "in")], targets: [end(wire.to, wire.toBox, "in", "out")]}
    })
    return {
      id: "all", children, edges,
      layoutOptions: {
        "elk.algorithm": "layered", "elk.direction": "RIGHT", "elk.aspectRatio": String(shape),
        "elk.separateConnectedComponents": "true", "elk.spacing.componentComponent": "40",
        "elk.hierarchyHandling": wrapped ? "SEPARATE_CHILDREN" : "INCLUDE_CHILDREN", ...options, ...this.options,
      },
    }
  }

  /** Give all places without ELK, at once. */
  quick(scene) {
    const rooms = roomsOf(scene)
    const inner = [...scene.nodes.values()].filter(node => node.frame).sort((one, two) => two.depth - one.depth)
    const place = numbers => {
      this.within(scene, numbers.filter(n => !rooms.has(n)))
      this.placeRooms(scene, new Map(numbers.filter(n => rooms.has(n)).map(n => [n, rooms.get(n)])))
    }
    for (const frame of inner) place(frame.children)
    place([...scene.nodes.values()].filter(node => node.depth === 0).map(node => node.n))
    this.noteFrames(scene)
    this.store()
  }

  noteFrames(scene) {
    this.frames = new Set([...scene.nodes.values()].filter(node => node.frame).map(node => node.n))
  }

  /** Put some parts of one frame in columns, by how far they are from where messages come from. */
  within(scene, numbers) {
    const all = new Set(numbers)
    const next = new Map(numbers.map(n => [n, []])), before = new Map(numbers.map(n => [n, 0]))
    const lift = n => {
      while (n !== null && n !== undefined && !all.has(n)) n = scene.nodes.get(n)?.parent
      return n
    }
    for (const wire of scene.wires.values()) {
      const from = lift(wire.from), to = lift(wire.to)
      if (from === to || !all.has(from) || !all.has(to) || next.get(from).includes(to)) continue
      next.get(from).push(to)
      before.set(to, before.get(to) + 1)
    }
    const column = new Map()
    const todo = numbers.filter(n => !before.get(n))
    const left = new Set(numbers)
    for (const n of todo) column.set(n, 0)
    while (left.size) {
      if (!todo.length) { // a ring: begin somewhere
        const n = left.values().next().value
        column.set(n, column.get(n) ?? 0)
        todo.push(n)
      }
      const n = todo.shift()
      if (!left.delete(n)) continue
      for (const to of next.get(n)) {
        if (!left.has(to)) continue
        column.set(to, Math.max(column.get(to) ?? 0, column.get(n) + 1))
        before.set(to, before.get(to) - 1)
        if (before.get(to) <= 0) todo.push(to)
      }
    }
    const columns = []
    for (const n of numbers) (columns[column.get(n)] ??= []).push(n)
    const tallest = Math.max(6, Math.ceil(Math.sqrt(numbers.length / 2))) // parts in a column
    const longest = Math.max(5, Math.ceil(1.1 * Math.sqrt(numbers.length))) // columns in a row
    let x = 0, top = 0, bottom = 0, count = 0
    for (const members of columns.filter(Boolean)) {
      for (let begin = 0; begin < members.length; begin += tallest) {
        if (count++ && count % longest === 1) {
          x = 0
          top = bottom + GAP_Y
        }
        let y = top, wide = 0
        for (const n of members.slice(begin, begin + tallest)) {
          const node = scene.nodes.get(n)
          this.putCorner(scene, node, x, y)
          const [w, h] = this.size(scene, node)
          wide = Math.max(wide, w)
          y += h + GAP_Y
        }
        bottom = Math.max(bottom, y)
        x += wide + this.gap
      }
    }
  }
}

/** Whether two rects come nearer to each other than a little. */
const meet = (one, two) => one.x < two.x + two.w + APART && two.x < one.x + one.w + APART &&
  one.y < two.y + two.h + APART && two.y < one.y + one.h + APART

/** The rooms of a scene: of each the nodes beside it within which all of its links end, on both of its sides,
 and where these ends are: [[n, side], ...]. */
function roomsOf(scene) {
  const found = new Map()
  const note = (n, other, side) => {
    const node = scene.nodes.get(n)
    let at = scene.nodes.get(other)
    const deep = at.depth > node.depth
    while (at && at.depth > node.depth) at = scene.nodes.get(at.parent)
    if (!found.has(n)) found.set(n, {partners: new Set(), ends: [], whole: true})
    const about = found.get(n)
    about.whole &&= deep && at !== node && at.parent === node.parent
    about.partners.add(at?.n)
    about.ends.push([other, side])
  }
  for (const wire of scene.wires.values()) {
    note(wire.to, wire.from, "out")
    note(wire.from, wire.to, "in")
  }
  const rooms = new Map()
  for (const [n, {partners, ends, whole}] of found) {
    const both = ["in", "out"].every(side => ends.some(one => one[1] === side))
    if (whole && both && !scene.nodes.get(n).frame) rooms.set(n, {partners: [...partners], ends})
  }
  return rooms
}

const mean = values => values.length ? values.reduce((one, two) => one + two, 0) / values.length : undefined

function isIn(scene, n, frame) {
  for (let node = scene.nodes.get(n); node; node = scene.nodes.get(node.parent)) if (node.n === frame) return true
  return false
}
