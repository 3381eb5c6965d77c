/** What is bad about streams, in words. */

import { el } from "./dom.js";

/** Kinds of problems as the server has them, such as `slow-peer` and `webhook.failed`, for people. */
export function words(kinds) {
  return kinds.replaceAll(/[-.]/g, " ");
}

/** A section that says what is bad; empty and hidden while nothing is. */
export class Problems {
  constructor() {
    this.list = el("ul", { class: "wrong" });
    const about = { class: "problems", "aria-label": "What is bad", role: "region", hidden: true };
    this.element = el("div", about, el("h2", {}, "What is bad"), this.list);
    this.shown = "";
  }

  show(problems) {
    const texts = problems.map(({ text }) => text);
    if (texts.join("\n") === this.shown) return; // a screen reader would read it again
    this.shown = texts.join("\n");
    this.list.replaceChildren(...texts.map((text) => el("li", {}, text)));
    this.element.hidden = !texts.length;
  }
}
