// The Studio's page: what comes from the system goes into the model, and from there into picture, list and
// details.

import {by, h, say} from "./dom.js"
import {Details} from "./details.js"
import {Feed} from "./feed.js"
import {Model} from "./model.js"
import {Network} from "./network.js"
import {Picture} from "./picture.js"
import {Places} from "./place.js"
import {Scene} from "./scene.js"
import {Tree} from "./tree.js"
import {last, many, seconds} from "./words.js"

const EVERY = 0.25 // seconds between two frames
const QUIET = 2000 // milliseconds without a frame after which that is said
const LISTED = 200 // events in the list
const FOUND = 12 // parts that a search lists
const NEIGHBOURS = 2 // links to the edge of a neighbourhood

const model = new Model()
const scene = new Scene(model)
const places = new Places()
const picture = new Picture(by("paper"), scene, places)
const tree = new Tree(by("tree"), model)
let feed, details
let network = null // the picture of a simulated network, if it is one
let host = null // the name of the host of it that is looked into
let drawn = false // the first picture is there
let drawing = null // a first picture is being made
let latest = 0 // when the last frame came
let frozen = false
let greeting = null
let lost = null // why there is no connection
let stopWatching = () => {}
const violations = []

// -- who looks ------------------------------------------------------------------------------------------

/** The token stands in the address at first; then only in this tab's own storage. */
function token() {
  const [, given] = location.hash.match(/^#([0-9a-f]{32,})\W*$/) ?? [] // a full stop may have been copied with it
  if (given) {
    sessionStorage.setItem("kamaelia-studio token", given)
    history.replaceState(null, "", location.pathname)
  }
  return sessionStorage.getItem("kamaelia-studio token") ?? ""
}

function begin() {
  document.addEventListener("securitypolicyviolation", event => violations.push(`${event.violatedDirective} ${event.blockedURI}`))
  const url = new URL("feed", location.href.replace(/^http/, "ws"))
  url.hash = ""
  url.searchParams.set("token", token())
  feed = new Feed(url)
  details = new Details(by("details-body"), model, feed)
  feed.addEventListener("greeting", event => greet(event.detail))
  feed.addEventListener("lost", event => {
    lost = event.detail
    sayNews()
  })
  listen()
  setInterval(sayNews, 500)
  // For tests, and for whoever opens the console.
  window.studio = {model, scene, places, picture, tree, details, feed, violations}
}

function greet(said) {
  greeting = said
  lost = null
  const file = last(String(said.program ?? ""))
  const program = ["", "__main__.py", "kamaelia"].includes(file) ? String(said.name) : file // run by our command
  document.title = `${program} \u2013 Kamaelia Studio`
  say(by("program"), program)
  say(by("core"), `${said.name}, process ${said.pid}, ${said.core}`)
  latest = performance.now()
  host = null
  if (said.kind === "network") {
    network ??= makeNetwork()
    network.watch(said)
    showNetwork(true)
  } else {
    watch()
  }
}

/** Watch the system, or that of one host of a network. */
function watch() {
  places.open(`${greeting.program} ${greeting.name} ${host ?? ""}`)
  drawn = false
  model.clear()
  stopWatching()
  stopWatching = feed.stream("watch", {every: EVERY, ...feed.about}, frame => {
    if ("end" in frame) {
      if (host !== null) say(by("empty"), `${host}: ${frame.end}`)
      return
    }
    latest = performance.now()
    take(frame)
  })
}

// -- a simulated network --------------------------------------------------------------------------------

function makeNetwork() {
  const made = new Network(feed, details)
  made.addEventListener("news", () => {
    latest = performance.now()
    sayNews()
  })
  made.addEventListener("inside", event => {
    host = event.detail
    feed.about = {system: host}
    say(by("core"), `${host}, a host of the ${greeting.name}`)
    say(by("empty"), `Waiting for ${host}.`)
    by("empty").hidden = false
    watch()
    showNetwork(false)
  })
  made.addEventListener("chosen", () => view("details"))
  window.studio.network = made
  by("to-network").addEventListener("click", () => {
    stopWatching()
    stopWatching = () => {}
    host = null
    feed.about = {}
    details.none()
    say(by("core"), `${greeting.name}, ${greeting.core}`)
    showNetwork(true)
  })
  return made
}

/** Show the network, or what is on one of its hosts. */
function showNetwork(whole) {
  for (const id of ["network", "net-list"]) by(id).hidden = !whole
  for (const id of ["paper", "tree-box", "fold", "unfold", "search"]) by(id).hidden = whole
  by("time").hidden = false
  by("to-network").hidden = whole
  say(by("what"), whole ? "Hosts and links" : "Parts")
  if (whole) {
    by("empty").hidden = by("diagnosis").hidden = true
    say(by("count"), "")
    network.picture.fit()
  }
  document.body.classList.toggle("of-network", whole)
}

/** The picture that is seen. */
const seen = () => network && host === null ? network.picture : picture

// -- frames ---------------------------------------------------------------------------------------------

const pending = {structure: false, components: new Set(), links: new Set(), diagnosis: false, events: []}
let wanted = false

/** Take a frame into the model at once, and onto the page with the next frame of the screen. */
function take(frame) {
  const changed = model.apply(frame)
  if (frame.frame === 1) {
    scene.clear()
    details.none()
  }
  pending.structure ||= changed.structure
  pending.diagnosis ||= changed.diagnosis
  for (const one of changed.components) pending.components.add(one)
  for (const one of changed.links) pending.links.add(one)
  pending.events.push(...changed.events)
  if (pending.events.length > LISTED) pending.events.splice(0, pending.events.length - LISTED) // nobody looks
  if (!wanted && !frozen) {
    wanted = true
    requestAnimationFrame(show)
  }
}

function show() {
  wanted = false
  if (frozen) return
  const {components, links, events} = pending
  if (!drawn) {
    if (!drawing && model.components.size) drawing = first().finally(() => { drawing = null })
  } else {
    if (pending.structure) rebuild()
    picture.figures(components, links)
  }
  if (drawn && (pending.structure || pending.diagnosis)) sayDiagnosis()
  tell(events)
  details.update()
  sayNews()
  pending.structure &&= !drawn
  pending.diagnosis = false
  pending.events = []
  components.clear()
  links.clear()
}

/** The first picture of this system. */
async function first() {
  scene.build()
  await places.first(scene, picture.ratio)
  scene.build() // more may have come while the places were found
  places.update(scene)
  drawn = true
  picture.draw()
  picture.fit()
  tree.build()
  sayCount()
  sayDiagnosis()
  by("empty").hidden = true
  pending.structure = false
}

/** Parts or links have come or gone. */
function rebuild() {
  scene.build()
  places.update(scene)
  picture.draw()
  treeSoon()
  sayCount()
  if (focus) refocus()
}

let treeWanted = 0
function treeSoon() { // of many changes in a row, the list is written once
  treeWanted ||= setTimeout(() => {
    treeWanted = 0
    tree.build()
  }, 200)
}
setInterval(() => {
  if (!frozen && !document.hidden) tree.figures()
}, 500)

function sayCount() {
  say(by("count"), `${many(model.components.size, "part")}, ${many(model.links.size, "link")}`)
}

// -- what is said about it ------------------------------------------------------------------------------

function sayNews() {
  const news = by("news")
  const silence = performance.now() - latest
  let text = "live", look = "live"
  if (lost !== null) [text, look] = [`${lost}. Trying again.`, "gone"]
  else if (!greeting) [text, look] = ["connecting", "quiet"]
  else if (frozen) [text, look] = ["frozen", "quiet"]
  else if (silence > QUIET) [text, look] = [`no news for ${seconds(silence / 1000)}`, "gone"]
  else if (model.missed) text = `live; ${many(model.missed, "frame")} missed`
  say(news, text)
  // Heard is only what is new: not each second for how long there has been none.
  if (news.className !== look && drawn) announce(look === "live" ? "The system is live." : text)
  news.className = look
  document.body.classList.toggle("stale", look === "gone")
}

/** Have a screen reader say something. */
function announce(text) {
  say(by("announced"), text)
}

const KINDS = {
  "busy-step": "A step lasts.", "stuck-group": "They wait for each other.", "full-box": "A box is full.",
  "slow-consumer": "Slow reader.", outside: "Waits for the outside.",
}
let culprit = null
let blamed = "" // kind and culprit of what was announced last

function sayDiagnosis() {
  const found = model.diagnosis
  const stuck = model.stuck
  let kind = found?.kind ?? "none", text = found?.sentence ?? "", path = found?.culprit ?? null
  if (stuck && kind !== "busy-step") {
    [kind, path] = ["busy-step", stuck.path]
    text = `${stuck.path} holds up everybody: its step has lasted ${seconds(stuck.seconds)}, at ${stuck.where}`
  }
  const box = by("diagnosis")
  box.hidden = kind === "none"
  if (kind !== "none") {
    say(by("diagnosis-kind"), KINDS[kind] ?? kind)
    say(by("diagnosis-text"), text)
  }
  culprit = kind === "none" ? null : model.byPath.get(path) ?? null
  const about = `${kind} ${path}`
  if (about !== blamed && kind !== "none") announce(text) // its figures change all the time: heard is who it is
  blamed = about
  by("diagnosis-show").hidden = !culprit
  const node = culprit && scene.nodeOf(culprit)
  const held = new Set()
  for (const one of kind === "none" ? [] : [...found?.held ?? [], ...found?.group ?? []]) {
    const component = model.byPath.get(one)
    const at = component && scene.nodeOf(component)
    if (at && at !== node && !at.frame) held.add(at.n)
  }
  picture.blame(node?.n ?? null, held)
  tree.culprit = culprit?.path ?? null
  tree.figures()
}

function tell(events) {
  const list = by("happened")
  for (const event of events.slice(-LISTED)) {
    const row = h("li", {class: event.what},
      h("time", {}, model.since(event.time)), " ", h("b", {}, event.what), " ",
      h("button", {class: "link", onclick: () => choosePath(event.path)}, event.path),
      event.detail ? h("span", {class: "detail"}, event.detail) : null)
    list.prepend(row)
    const component = model.byPath.get(event.path)
    const node = component && scene.nodeOf(component)
    if (node && ["failed", "broken", "started"].includes(event.what)) picture.flash(node.n, event.what === "broken" ? "failed" : event.what)
  }
  while (list.children.length > LISTED) list.lastElementChild.remove()
}

// -- what people do -------------------------------------------------------------------------------------

function choosePath(path) {
  const component = model.byPath.get(path)
  if (component) choose({component})
}

/** Show the details of a part, a link or a box, and mark it. */
function choose({component, link, wire, box}, {bring = false} = {}) {
  view("details")
  if (component) {
    const node = scene.nodeOf(component)
    picture.choose(node ? `c${node.n}` : null)
    tree.choose(component.path)
    details.showComponent(component)
    if (bring && node) picture.centre(node.n)
  } else if (box) {
    details.showBox(box)
  } else {
    const found = wire ?? [...scene.wires.values()].find(one => one.links.includes(link)) ?? {links: [link], key: ""}
    picture.choose(`w${found.key}`)
    details.showWire(link ? {links: [link]} : found)
  }
}

/** Bring a part into view, unfolding what it is in. */
function bring(component) {
  if (scene.reveal(component)) {
    scene.build()
    places.update(scene)
    picture.draw()
    sayDiagnosis()
  }
  view("picture")
  const node = scene.nodeOf(component)
  if (node) {
    picture.choose(`c${node.n}`)
    picture.centre(node.n)
  }
}

function fold(component) {
  const node = scene.nodeOf(component)
  if (!node || !component.children.size) return
  if (node.component !== component) {
    bring(component)
    return
  }
  const before = new Map(places.rects)
  if (node.frame) scene.unfolded.delete(component.path)
  else scene.unfolded.add(component.path)
  scene.build()
  places.refold(before, scene, component.n)
  picture.draw()
  sayDiagnosis()
}

function foldAll(unfold) {
  for (const component of model.components.values()) {
    if (!component.children.size) continue
    scene.decided.add(component.path)
    const keep = !unfold && component.parent === null && model.roots.size === 1 // the frame around everything
    if (unfold || keep) scene.unfolded.add(component.path)
    else scene.unfolded.delete(component.path)
  }
  scene.build()
  places.update(scene)
  return arrange()
}

async function arrange() {
  const button = by("arrange")
  const shown = seen()
  button.disabled = true
  try {
    await shown.places.arrange(shown.scene, shown.ratio)
  } catch (error) {
    shown.places.quick(shown.scene) // whatever ELK could not do with this graph
    console.info(`ELK: ${error.message}`)
  }
  button.disabled = false
  if (shown === picture) {
    scene.build()
    places.update(scene)
  }
  shown.draw()
  shown.fit()
}

let focus = null // the component whose neighbourhood is shown

function refocus() {
  const node = focus && scene.nodeOf(focus)
  if (!node) focus = null
  const seen = node ? scene.neighbourhood(node.n, NEIGHBOURS) : null
  picture.only(seen)
  by("focused").hidden = !seen
  if (seen) {
    say(by("focused").firstElementChild, `Only ${focus.name} and what is at most ${NEIGHBOURS} links away`)
  }
  return seen
}

function focusOn(component) {
  focus = component
  if (component && scene.reveal(component)) rebuild()
  const seen = refocus()
  view("picture")
  if (seen) picture.fit([...seen].filter(n => !scene.nodes.get(n).frame), 1)
}

function freeze() {
  frozen = !frozen
  picture.frozen = frozen
  if (network) network.picture.frozen = frozen
  by("freeze").setAttribute("aria-pressed", String(frozen))
  say(by("freeze"), frozen ? "Go on" : "Freeze")
  if (!frozen) {
    show()
    picture.ask()
  }
  sayNews()
}

/** On a narrow page: which part of it is seen. */
function view(name) {
  document.body.dataset.view = name
  for (const button of document.querySelectorAll("nav button")) {
    if (button.dataset.to === name) button.setAttribute("aria-current", "page")
    else button.removeAttribute("aria-current")
  }
}

// -- the search -----------------------------------------------------------------------------------------

let offered = [], marked = -1

function search() {
  const wanted = by("search").value.trim().toLowerCase()
  const list = by("found")
  offered = []
  if (wanted) {
    const scored = []
    for (const component of model.components.values()) {
      const name = component.name.toLowerCase()
      const at = name === wanted ? 0 : name.startsWith(wanted) ? 1 : name.includes(wanted) ? 2
        : component.path.toLowerCase().includes(wanted) ? 3 : component.type.toLowerCase().includes(wanted) ? 4 : null
      if (at !== null) scored.push([at, component.path.length, component])
    }
    scored.sort((one, two) => one[0] - two[0] || one[1] - two[1])
    offered = scored.slice(0, FOUND).map(one => one[2])
  }
  marked = offered.length ? 0 : -1
  list.replaceChildren(...offered.map((component, n) => h("li", {
    role: "option", id: `found-${n}`, "aria-selected": String(n === marked), onmousedown: event => {
      event.preventDefault()
      goTo(component)
    },
  }, h("b", {}, component.name), " ", h("small", {}, component.path))))
  if (wanted && !offered.length) list.replaceChildren(h("li", {role: "option", "aria-selected": "false", "aria-disabled": "true"}, "no part is called that"))
  list.hidden = !wanted
  mark(marked)
}

function mark(n) {
  marked = n
  const box = by("search")
  box.setAttribute("aria-expanded", String(!by("found").hidden))
  if (n >= 0) box.setAttribute("aria-activedescendant", `found-${n}`)
  else box.removeAttribute("aria-activedescendant")
  for (const [at, row] of [...by("found").children].entries()) row.setAttribute("aria-selected", String(at === n))
}

function goTo(component) {
  by("search").value = ""
  search()
  choose({component})
  bring(component)
}

function listen() {
  picture.addEventListener("choose", event => choose(event.detail))
  picture.addEventListener("fold", event => fold(event.detail.component))
  tree.addEventListener("choose", event => choose({component: event.detail}, {bring: true}))
  details.addEventListener("choose", event => choose(event.detail))
  details.addEventListener("show", event => bring(event.detail))
  details.addEventListener("fold", event => fold(event.detail))
  details.addEventListener("focus", event => focusOn(event.detail))
  const clicks = {
    fit: () => seen().fit(), nearer: () => seen().zoom(1.25), farther: () => seen().zoom(0.8),
    unfold: () => foldAll(true), fold: () => foldAll(false), arrange, freeze, help: () => by("keys").showModal(),
    unfocus: () => focusOn(null), "diagnosis-show": () => culprit && goTo(culprit),
  }
  for (const [id, act] of Object.entries(clicks)) by(id).addEventListener("click", () => act())
  for (const button of document.querySelectorAll("nav button")) button.addEventListener("click", () => view(button.dataset.to))
  const box = by("search")
  box.addEventListener("input", search)
  box.addEventListener("blur", () => {
    by("found").hidden = true
    mark(-1)
  })
  box.addEventListener("keydown", event => {
    if (event.key === "Enter" && offered[marked]) goTo(offered[marked])
    else if (event.key === "ArrowDown") mark(Math.min(offered.length - 1, marked + 1))
    else if (event.key === "ArrowUp") mark(Math.max(0, marked - 1))
    else if (event.key === "Escape") {
      box.value = ""
      search()
      by("paper").focus()
    } else return
    event.preventDefault()
    event.stopPropagation()
  })
  document.addEventListener("keydown", event => {
    if (event.target.closest("input, select, textarea, dialog") || event.ctrlKey || event.metaKey || event.altKey) return
    const keys = {
      "/": () => box.focus(), "?": () => by("keys").showModal(), a: arrange, g: () => culprit && goTo(culprit),
      n: () => details.component && focusOn(details.component), Escape: () => focus && focusOn(null),
    }
    if (!event.target.closest("button, summary, [role=treeitem]")) keys[" "] = freeze
    const act = keys[event.key] ?? keys[event.key.toLowerCase()]
    if (!act) return
    event.preventDefault()
    act()
  })
}

begin()
