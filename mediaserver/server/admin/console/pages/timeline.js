/** What has happened on a stream, in order, with the times since its beginning: events, and what was played. */

import { el, setText } from "../lib/dom.js";
import { brief, counted, offset } from "../lib/format.js";

const MOST = 500; // entries that are shown; the oldest go
const SPELL = 2; // seconds from which on the end of an impairment is told
const EVERYWHERE = new Set(["path", "resource", "variables"]); // what all events of a stream have

// What the data of an event says, in words, where the names of its keys do not say it.
const WORDS = {
  mark: ({ name, complete }) => `${name}: ${complete ? "all before it was sent" : "sound before it was stopped"}`,
  "stream.adjusted": ({ gain, muted, by }) => `gain ${gain} dB, ${muted.length ? muted.join(" and ") : "nobody"} muted, by ${by}`,
  "stream.switched": ({ previous, path, by }) => `from ${previous} to ${path}, by ${by}`,
};

/** The kind of an event as a class: what went wrong, what came from the caller, what we did. */
export function tone(type) {
  if (/failed|lost|silent|slow|invalid|timeout|disconnected|inbound$/.test(type)) return "wrong";
  return /^(digits|speech|tone|keyword|transcript|silence)/.test(type) ? "heard" : "done";
}

/** What the data of an event says: texts and elements. */
function tell({ type, data }) {
  if (Object.hasOwn(WORDS, type)) return [WORDS[type](data)];
  const pairs = Object.entries(data).filter(([key, value]) => !EVERYWHERE.has(key) && value !== "");
  const ended = type === "stream.ended";
  const shown = ended ? pairs.filter(([key]) => ["reason", "why", "duration_s"].includes(key)) : pairs;
  return shown.map(([key, value]) => el("span", {}, el("i", {}, key), ` ${brief(value)} `));
}

// What impairments of a stream are called, and what their counts are.
const IMPAIRED = {
  late: ["held up", "frame", " late or left out"],
  stalled: ["far end slow", "pause"],
  underrun: ["no sound in time", "frame"],
  lost: ["lost", "RTP packet"],
  malformed: ["unreadable", "message"],
  gap: ["nothing received", "second"],
};

export class Timeline {
  constructor() {
    this.list = el("ol", { class: "timeline", role: "log", "aria-label": "Events", tabindex: "0" });
    this.none = el("p", { class: "dim" }, "Nothing has happened yet.");
    this.element = el("div", {}, this.none, this.list);
    this.start = null; // ms; by the server's clock where it has told the beginning
    this.told = false;
    this.entries = []; // in the order of their times
    this.asked = false; // whether what was played was to be added before
    this.played = 0; // seconds of the stream up to which what was played is here
    this.impairments = new Map(); // their texts by kind and beginning, as the latest ones may go on
  }

  /** The stream has lasted for so many seconds, where no event has told its beginning. */
  began(seconds, now = Date.now()) {
    if (!this.told && this.start === null) this.setStart(now - seconds * 1000);
  }

  setStart(start) {
    this.start = start;
    for (const { time, at } of this.entries) setText(time, offset((at - start) / 1000));
  }

  /** The second of the stream at which something happened; 0 while the beginning is not known. */
  secondsAt(time) {
    return this.start === null ? 0 : (Date.parse(time) - this.start) / 1000;
  }

  /** Add an event. */
  add(event) {
    const at = Date.parse(event.time);
    if (event.type === "stream.started") {
      this.told = true;
      this.setStart(at);
    }
    this.insert(at, event.time, event.type, el("span", {}, ...tell(event)));
  }

  /**
   * Add what was played, as the description of the stream has it, and that is not here yet. The first time, the
   * event that tells the beginning is waited for, from which these times count.
   */
  addPlayed(sounds) {
    const waits = !this.told && !this.asked;
    this.asked = true;
    if (this.start === null || waits) return;
    for (const { name, ended_s: ended, seconds, complete } of sounds) {
      if (ended <= this.played) continue;
      this.played = ended;
      const at = this.start + Math.max(0, ended - seconds) * 1000;
      const text = `${name}, ${seconds.toFixed(1)} s${complete ? "" : ", then it was stopped"}`;
      this.insert(at, new Date(at).toISOString(), "played", el("span", {}, text));
    }
  }

  /** Add when the stream was impaired, as its description has it, after `addPlayed`. */
  addImpairments(impairments) {
    if (this.start === null) return;
    for (const { kind, from_s: from, to_s: to, count } of impairments) {
      const [name, noun, more = ""] = IMPAIRED[kind];
      const text = `${counted(count, noun)}${more}${to - from < SPELL ? "" : `, until ${offset(to)}`}`;
      const key = `${kind} ${from}`;
      const shown = this.impairments.get(key);
      if (shown) setText(shown, text);
      else {
        const at = this.start + from * 1000;
        this.impairments.set(key, el("span", {}, text));
        this.insert(at, new Date(at).toISOString(), name, this.impairments.get(key), "wrong");
      }
    }
  }

  insert(at, datetime, type, told, kind = tone(type)) {
    const time = el("time", { datetime }, this.start === null ? "" : offset((at - this.start) / 1000));
    const element = el("li", { class: kind }, time, el("b", {}, type), told);
    let place = this.entries.length;
    while (place > 0 && this.entries[place - 1].at > at) place -= 1;
    this.list.insertBefore(element, this.entries[place]?.element ?? null);
    this.entries.splice(place, 0, { element, time, at });
    if (this.entries.length > MOST) this.entries.shift().element.remove();
    this.none.hidden = true;
    this.list.scrollTop = this.list.scrollHeight;
  }
}
