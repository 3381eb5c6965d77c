/** Levels of both sides of calls, as they are now, and the meters that show them. */

import { closeSocket, has, openSocket } from "./api.js";
import { el } from "./dom.js";

const PATH = "/v1/levels";
const MOST = 40; // streams that are measured at once
const SETTLE = 300; // ms for which the wanted streams must stay the same, as while somebody scrolls
const SOFTEST = -60; // dBFS at the beginning of a meter

/** Whether the server can measure levels. */
export function hasLevels() {
  return has(PATH);
}

/** A meter. `show` takes a level in dBFS, null for none. */
export class Meter {
  constructor(label) {
    this.filled = el("span", { class: "filled" });
    const range = { "aria-valuemin": SOFTEST, "aria-valuemax": 0, "aria-valuenow": SOFTEST };
    this.element = el("span", { class: "bar level", role: "meter", "aria-label": label, ...range }, this.filled);
    this.shown = SOFTEST;
  }

  show(level) {
    const rounded = Math.round(Math.min(0, Math.max(SOFTEST, level ?? SOFTEST)));
    if (rounded === this.shown) return;
    this.shown = rounded;
    this.filled.style.transform = `scaleX(${1 - rounded / SOFTEST})`;
    this.filled.classList.toggle("hot", rounded > -3);
    this.element.setAttribute("aria-valuenow", rounded);
  }
}

/** Measures the streams that are wanted, and hands `{id: {caller, us}}` on some times a second. */
export class LevelFeed {
  constructor(onlevels) {
    this.onlevels = onlevels;
    this.wanted = "";
    this.socket = null;
    this.timer = 0;
    this.closed = false;
  }

  /** Measure these streams from now on. */
  measure(ids) {
    if (this.closed || !hasLevels()) return;
    const wanted = ids.slice(0, MOST).join(",");
    if (wanted === this.wanted) return;
    this.wanted = wanted;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), SETTLE);
  }

  async open() {
    closeSocket(this.socket);
    this.socket = null;
    const wanted = this.wanted;
    if (!wanted) return;
    try {
      const socket = await openSocket(PATH, { streams: wanted });
      if (this.closed || wanted !== this.wanted) {
        closeSocket(socket);
        return;
      }
      this.socket = socket;
      socket.addEventListener("message", ({ data }) => this.onlevels(JSON.parse(data).levels ?? {}));
      socket.addEventListener("close", () => {
        if (this.socket === socket) this.wanted = ""; // the next `measure` opens it again
      });
    } catch {
      this.wanted = "";
    }
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    closeSocket(this.socket);
  }
}
