// @ts-check
// Creates elements. Text is always inserted as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "path", "line", "text", "circle", "g", "rect"]);

/**
 * @typedef {Node | string | number | null | undefined | false} Leaf
 * @typedef {Leaf | readonly Child[]} Child
 */

/**
 * Creates an element.
 *
 * @template {string} T
 * @param {T} tag
 * @param {Record<string, any>} attributes Names that start with `on` are listeners. An attribute
 *   whose value is null, undefined or false is left out; true sets it without a value.
 * @param {...Child} children Null, undefined and false are left out.
 * @returns {T extends keyof HTMLElementTagNameMap ? HTMLElementTagNameMap[T] : SVGElement}
 */
export function h(tag, attributes = {}, ...children) {
  const element = SVG_TAGS.has(tag)
    ? document.createElementNS(SVG, tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (isPresent(value)) element.setAttribute(name, value === true ? "" : value);
  }
  const leaves = /** @type {any} */ (children).flat(Infinity);
  element.append(...leaves.filter(isPresent));
  return /** @type {any} */ (element);
}

/** @param {unknown} value */
const isPresent = (value) => value !== null && value !== undefined && value !== false;

/**
 * Highlights every occurrence of the given marks in a text.
 *
 * @param {string} text
 * @param {string[]} marks
 * @returns {(string | HTMLElement)[]}
 */
export function marked(text, marks) {
  if (marks.length === 0) return [text];
  const escaped = marks.map((mark) => mark.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const parts = text.split(new RegExp(`(${escaped.join("|")})`));
  return parts.map((part) => (marks.includes(part) ? h("mark", {}, part) : part));
}

/**
 * Replaces the children of an element. Children that look the same as before are left alone, so
 * that focus and selection stay.
 *
 * @param {Element} element
 * @param {...Child} children
 */
export function replace(element, ...children) {
  const fresh = h("div", {}, ...children);
  if (fresh.innerHTML !== element.innerHTML) element.replaceChildren(...fresh.childNodes);
}
