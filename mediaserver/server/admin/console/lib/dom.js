/**
 * Elements, made by calls. Text is always text: names of prompts and variables of calls come from strangers, so
 * nothing here takes markup.
 */

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/**
 * An element. `attributes` that begin with `on` are listeners; `true` stands for an attribute without a value, and
 * `false` or null for none. Children are nodes or texts.
 */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An element of SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Set the text of a node, unless it has that text already: a change costs layout, and is read aloud. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A button. */
export function button(label, onclick, attributes = {}) {
  return el("button", { type: "button", onclick, ...attributes }, label);
}

/** A control with its label, which is in front of it. */
export function labelled(label, control) {
  return el("label", {}, el("span", {}, label), control);
}

/** A list of names and values; a value is a text or a node. */
export function facts(pairs) {
  const line = ([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
  return el("dl", { class: "facts" }, ...pairs.map(line));
}

/** A bar of a length from 0 to 1. */
export function bar(share) {
  const filled = el("span", { class: "filled" });
  filled.style.transform = `scaleX(${Math.min(1, Math.max(0, share))})`;
  return el("span", { class: "bar", "aria-hidden": "true" }, filled);
}
