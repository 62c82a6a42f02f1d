// Makes and changes elements. Every text becomes a text node: no function takes HTML.

import { harmless, iso, clock, UNKNOWN } from "./format.js";

/**
 * Makes an element: `h("td.number", { title: "blocks" }, "12")`. An attribute that begins with `on` is a
 * listener. A false or null attribute or child is left out.
 */
export function h(spec, ...rest) {
  const [tag, ...classes] = spec.split(".");
  const element = document.createElement(tag);
  if (classes.length > 0) element.className = classes.join(" ");
  if (isAttributes(rest[0])) attributes(element, rest.shift());
  element.append(
    ...rest
      .flat()
      .filter((child) => child != null && child !== false)
      .map(node),
  );
  return element;
}

function isAttributes(value) {
  return value != null && typeof value === "object" && !(value instanceof Node) && !Array.isArray(value);
}

function node(child) {
  return child instanceof Node ? child : document.createTextNode(harmless(child));
}

function attributes(element, values) {
  for (const [name, value] of Object.entries(values)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else attribute(element, name, value);
  }
}

/** Sets an attribute, or removes it for a false or null value. */
export function attribute(element, name, value) {
  if (value == null || value === false) element.removeAttribute(name);
  else {
    const text = value === true ? "" : harmless(value);
    if (element.getAttribute(name) !== text) element.setAttribute(name, text);
  }
}

/** Sets the text of an element, if it differs. */
export function text(element, value) {
  const wanted = harmless(value);
  if (element.textContent !== wanted) element.textContent = wanted;
}

/** Sets the text of a cell, in a quiet color for a zero: the eye finds the other numbers. */
export function number(cell, value) {
  text(cell, value);
  cell.classList.toggle("zero", /^0( |$)/.test(value));
}

/** Replaces the children, if the text or the number of elements differs. Keeps the focus otherwise. */
export function fill(element, ...children) {
  const next = h("div", ...children);
  if (!element.isEqualNode(next) && !sameChildren(element, next)) element.replaceChildren(...next.childNodes);
}

function sameChildren(one, other) {
  const [left, right] = [one.childNodes, other.childNodes];
  return left.length === right.length && [...left].every((child, place) => child.isEqualNode(right[place]));
}

/**
 * Makes the children of `parent` one for each item, in their order. A child stays the same element as long as
 * its key is there: `make` makes it, and `update` brings it up to date.
 */
export function keyed(parent, items, keyOf, make, update) {
  const old = (parent.keyedRows ??= new Map());
  const rows = new Map();
  for (const item of items) {
    const key = keyOf(item);
    const row = old.get(key) ?? make(item);
    old.delete(key);
    rows.set(key, row);
    update?.(row, item);
  }
  for (const row of old.values()) row.remove();
  let place = parent.firstChild;
  for (const row of rows.values()) {
    if (row === place) place = place.nextSibling;
    else parent.insertBefore(row, place);
  }
  parent.keyedRows = rows;
}

/** A time, with the whole date as its title. */
export function time(ms) {
  return ms == null ? h("span", UNKNOWN) : h("time", { datetime: iso(ms), title: iso(ms) }, clock(ms));
}

/** A row of a table. On a narrow screen, each cell shows its label. */
export function cells(labels, numbers = []) {
  return labels.map((label, place) => h(numbers.includes(place) ? "td.number" : "td", { "data-label": label }));
}

/** The head of a table. */
export function head(labels, numbers = []) {
  const cell = (label, place) => h(numbers.includes(place) ? "th.number" : "th", { scope: "col" }, label);
  return h("thead", h("tr", ...labels.map(cell)));
}

/** A section with its heading. */
export function section(title, ...children) {
  return h("section", h("h2", title), ...children);
}
