// The list of parts: what the picture shows, in words, for the keyboard and for screen readers.

import {h, say} from "./dom.js"
import {dotOf} from "./shapes.js"
import {doing, last, many, percent, short} from "./words.js"

const AT_FIRST = 60 // rows that are open without being asked for

export class Tree extends EventTarget {
  /** Events: "choose" (detail: component). */
  constructor(list, model) {
    super()
    this.list = list
    this.model = model
    this.open = new Set() // paths
    this.known = new Set() // paths about which has been decided
    this.rows = new Map() // n -> {row, dot, words, mark}
    this.chosen = null // path
    this.focus = null // path of the row that Tab leads to
    this.culprit = null
    list.addEventListener("click", event => this.click(event))
    list.addEventListener("keydown", event => this.key(event))
    list.parentElement.addEventListener("scroll", () => this.figures(), {passive: true})
  }

  /** Write the list anew. */
  build() {
    const had = this.list.contains(document.activeElement)
    const rows = []
    this.rows.clear()
    let count = this.model.roots.size
    const visit = (component, level) => {
      const parts = component.children.size
      if (parts && !this.known.has(component.path)) {
        this.known.add(component.path)
        if (count + parts <= AT_FIRST) this.open.add(component.path)
      }
      const open = parts > 0 && this.open.has(component.path)
      if (open) count += parts
      rows.push(this.row(component, level, parts, open))
      if (open) for (const child of component.children) visit(child, level + 1)
    }
    for (const root of this.model.roots) visit(root, 1)
    this.list.replaceChildren(...rows)
    if (!this.model.byPath.has(this.focus) || !this.find(this.focus)) this.focus = rows[0]?.dataset.path ?? null
    const row = this.find(this.focus)
    if (row) row.tabIndex = 0
    if (had) row?.focus()
    this.figures()
  }

  row(component, level, parts, open) {
    const dot = h("i", {class: "dot", "aria-hidden": "true"})
    const words = h("span", {class: "words"})
    const mark = h("span", {class: "mark"})
    const row = h("li", {
      role: "treeitem", class: "row", tabindex: "-1", "data-path": component.path, "data-level": Math.min(level, 8),
      "aria-level": level, "aria-expanded": parts ? String(open) : null,
      "aria-selected": String(component.path === this.chosen),
    }, h("span", {class: "fold", "aria-hidden": "true"}, parts ? (open ? "\u25be" : "\u25b8") : ""), dot,
    h("span", {class: "name"}, component.name), mark, words)
    this.rows.set(component.n, {row, dot, words, mark})
    return row
  }

  /** Write the latest figures into the rows that are in view. (A thousand would cost more than the picture.) */
  figures() {
    const box = this.list.parentElement
    const rows = this.list.children
    const high = rows[0]?.offsetHeight || 25
    const begin = Math.max(0, Math.floor(box.scrollTop / high) - 3)
    const end = Math.min(rows.length, begin + Math.ceil((box.clientHeight || 600) / high) + 6)
    for (let at = begin; at < end; at++) this.write(rows[at].dataset.path)
    if (this.list.contains(document.activeElement)) this.write(document.activeElement.dataset.path)
  }

  write(path) {
    const component = this.model.byPath.get(path)
    const parts = component && this.rows.get(component.n)
    if (parts) {
      const {row, dot, words, mark} = parts
      const look = `dot ${component.failures ? "failed" : dotOf(component)}`
      if (dot.className !== look) dot.className = look
      const full = this.model.fullest(component)
      const said = [doing(component.state)]
      if (component.running >= 0.05) said.push(`runs ${percent(component.running)}`)
      if (component.blocked >= 0.05) said.push(`blocked ${percent(component.blocked)}`)
      if (full && full.waiting) said.push(`queue ${short(full.waiting)}/${short(full.size)}`)
      if (component.failures) said.push(many(component.failures, "failure"))
      if (component.restarts) said.push(many(component.restarts, "restart"))
      say(words, said.join(", "))
      const guilty = component.path === this.culprit
      say(mark, guilty ? "holds up others" : "")
      row.classList.toggle("guilty", guilty)
    }
  }

  find(path) {
    const component = this.model.byPath.get(path)
    return component ? this.rows.get(component.n)?.row : undefined
  }

  choose(path) {
    this.chosen = path
    const component = this.model.byPath.get(path)
    let changed = false
    for (const one of component ? this.model.around(component) : []) {
      if (!this.open.has(one.path)) {
        this.open.add(one.path)
        this.known.add(one.path)
        changed = true
      }
    }
    if (changed) this.build()
    for (const {row} of this.rows.values()) row.setAttribute("aria-selected", String(row.dataset.path === path))
    this.find(path)?.scrollIntoView({block: "nearest"})
  }

  click(event) {
    const row = event.target.closest(".row")
    if (!row) return
    if (event.target.closest(".fold") && row.hasAttribute("aria-expanded")) this.toggle(row.dataset.path)
    else this.pick(row.dataset.path)
    this.to(this.find(row.dataset.path))
  }

  pick(path) {
    const component = this.model.byPath.get(path)
    if (component) this.dispatchEvent(new CustomEvent("choose", {detail: component}))
  }

  toggle(path, open = !this.open.has(path)) {
    if (open) this.open.add(path)
    else this.open.delete(path)
    this.build()
  }

  to(row) {
    if (!row) return
    const before = this.find(this.focus)
    if (before) before.tabIndex = -1
    this.focus = row.dataset.path
    row.tabIndex = 0
    row.focus()
  }

  key(event) {
    const row = event.target.closest(".row")
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return
    const path = row.dataset.path
    const folds = row.hasAttribute("aria-expanded"), open = row.getAttribute("aria-expanded") === "true"
    const rows = [...this.list.children]
    const parent = last(path) === path ? null : path.slice(0, path.lastIndexOf("/"))
    const keys = {
      ArrowDown: () => this.to(row.nextElementSibling),
      ArrowUp: () => this.to(row.previousElementSibling),
      Home: () => this.to(rows[0]),
      End: () => this.to(rows.at(-1)),
      ArrowRight: () => {
        if (folds && !open) this.toggle(path, true)
        else if (open) this.to(row.nextElementSibling)
      },
      ArrowLeft: () => {
        if (open) this.toggle(path, false)
        else this.to(this.find(parent))
      },
      Enter: () => this.pick(path),
      " ": () => this.pick(path),
    }
    if (!keys[event.key]) return
    keys[event.key]()
    event.preventDefault()
    event.stopPropagation()
  }
}
