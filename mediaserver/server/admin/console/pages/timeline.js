/** The events of a stream, in order, with their times since its beginning. */

import { el, setText } from "../lib/dom.js";
import { brief, offset } from "../lib/format.js";

const MOST = 500; // events that are shown; the oldest go
const EVERYWHERE = new Set(["path", "resource", "variables"]); // what all events of a stream have

// What the data of an event says, in words, where the names of its keys do not say it.
const WORDS = {
  mark: ({ name, complete }) => `${name}: ${complete ? "all before it was sent" : "sound before it was stopped"}`,
  "stream.switched": ({ previous, path, by }) => `from ${previous} to ${path}, by ${by}`,
};

/** The kind of an event as a class: what went wrong, what came from the caller, what we did. */
function tone(type) {
  if (/failed|lost|invalid|timeout|disconnected|inbound$/.test(type)) return "wrong";
  return /^(digits|speech|tone|keyword|transcript|silence)/.test(type) ? "heard" : "done";
}

/** What the data of an event says: texts and elements. */
function tell({ type, data }) {
  if (Object.hasOwn(WORDS, type)) return [WORDS[type](data)];
  const pairs = Object.entries(data).filter(([key]) => !EVERYWHERE.has(key));
  const ended = type === "stream.ended";
  const shown = ended ? pairs.filter(([key]) => ["reason", "why", "duration_s"].includes(key)) : pairs;
  return shown.map(([key, value]) => el("span", {}, el("i", {}, key), ` ${brief(value)} `));
}

export class Timeline {
  constructor() {
    this.list = el("ol", { class: "timeline", role: "log", "aria-label": "Events", tabindex: "0" });
    this.none = el("p", { class: "dim" }, "Nothing has happened yet.");
    this.element = el("div", {}, this.none, this.list);
    this.start = null; // ms; by the server's clock where it has told the beginning
    this.told = false;
    this.times = [];
  }

  /** The stream has lasted for so many seconds, where no event has told its beginning. */
  began(seconds) {
    if (!this.told && this.start === null) this.setStart(Date.now() - seconds * 1000);
  }

  setStart(start) {
    this.start = start;
    for (const { node, at } of this.times) setText(node, offset((at - start) / 1000));
  }

  add(event) {
    const at = Date.parse(event.time);
    if (event.type === "stream.started") {
      this.told = true;
      this.setStart(at);
    }
    const node = el("time", { datetime: event.time }, this.start === null ? "" : offset((at - this.start) / 1000));
    const told = el("span", {}, ...tell(event));
    this.list.append(el("li", { class: tone(event.type) }, node, el("b", {}, event.type), told));
    this.times.push({ node, at });
    if (this.times.length > MOST) {
      this.times.shift();
      this.list.firstChild.remove();
    }
    this.none.hidden = true;
    this.list.scrollTop = this.list.scrollHeight;
  }
}
