// Elements of the page, made in one way only: what comes from the system is set as text, never as markup.

const SVG = "http://www.w3.org/2000/svg"

/** Return an element by its id. */
export const by = id => document.getElementById(id)

/** Make an element of HTML: attributes, properties that begin with a dot, handlers that begin with "on". */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children)
}

/** Make an element of SVG. */
export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children)
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue
    if (name.startsWith(".")) element[name.slice(1)] = value
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value)
    else element.setAttribute(name, value === true ? "" : value)
  }
  element.append(...children.flat().filter(child => child !== null && child !== undefined && child !== false))
  return element
}

/** Set the text of an element, if it is another one. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text
}

/** Whether people do not want things to move. */
export const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches
