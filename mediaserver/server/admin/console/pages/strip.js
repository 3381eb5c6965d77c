/** A strip of time: how loud both sides of a stream were, what played, and what happened. */

import { el, setText } from "../lib/dom.js";
import { duration } from "../lib/format.js";

const SECONDS = 120; // of a stream in progress that are shown
const KEPT = 3600; // seconds of which levels and marks are kept
const STEP = 0.2; // seconds between two levels
const LANES = { measured: 44, none: 14 }; // CSS pixels of each side's levels, and where none were measured
const BAND = 3; // CSS pixels of the band at the top where the stream was impaired
const NAMES = 18; // CSS pixels of what plays
const SOFTEST = -60; // dBFS that are drawn as nothing
const PALE = 0.45; // opacity of levels that were looked at once a second
const LOOKS = "one look a second at what was known anyway";
const ABOUT = "How loud the caller (above) and we (below) were, what played, and what happened";

/**
 * A canvas that draws itself. Times are in seconds since the stream's beginning. The list of events says in words
 * what the marks are, and a line below says since when levels are drawn, and where they come from.
 */
export class Strip {
  constructor() {
    this.canvas = el("canvas", { class: "strip", role: "img", "aria-label": ABOUT });
    this.about = el("p", { class: "dim" });
    const onchange = ({ target }) => {
      this.whole = target.checked;
      this.changed();
    };
    const whole = el("input", { type: "checkbox", onchange });
    this.choice = el("label", { class: "check", hidden: true }, whole, "the whole call");
    this.element = el("div", { class: "strip-of-time" }, this.canvas, el("div", {}, this.about, this.choice));
    this.whole = false; // whether all of a stream in progress is shown
    this.levels = []; // { at, caller, us, playing, late }
    this.history = { every_s: 1, caller: [], us: [] }; // levels by the seconds of the call, null where unknown
    this.impairments = []; // { from_s, to_s }
    this.marks = []; // { at, tone, text }
    this.sounds = []; // { name, from, to }
    this.range = null; // the first and the last second that are shown, of a stream that is over
    this.late = null;
    this.frame = 0;
    this.resized = new ResizeObserver(() => this.changed());
    this.resized.observe(this.canvas);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.onscheme = () => this.changed();
    this.scheme.addEventListener("change", this.onscheme);
  }

  /** Add what was measured: the levels of both sides, what plays, and how many frames were late so far. */
  push(at, { caller, us, playing, late }) {
    if (this.late !== null && late > this.late) this.mark(at, "wrong", "");
    this.late = late;
    this.levels.push({ at, caller, us, playing });
    while (this.levels[0].at < at - KEPT) this.levels.shift();
    this.changed();
  }

  /** Add something that has happened, with what stands beside the mark, such as a key. */
  mark(at, tone, text) {
    this.marks.push({ at, tone, text });
    if (this.marks.length > KEPT) this.marks.shift();
    this.changed();
  }

  /** Show what was played, as the stream's description has it: all of it, or what was before the levels. */
  setPlayed(played) {
    this.sounds = played.map(({ name, ended_s: to, seconds: long }) => ({ name, from: to - long, to }));
    this.changed();
  }

  /** Show the levels and the impairments that the stream's description has. */
  setHistory(levels, impairments = []) {
    if (levels) this.history = { every_s: levels.every_s, caller: levels.caller.dbfs, us: levels.us.dbfs };
    this.impairments = impairments;
    this.changed();
  }

  /** Whether the stream's description has any level. */
  get known() {
    return [this.history.caller, this.history.us].some((side) => side.some((level) => level !== null));
  }

  /** Since when levels are drawn, and where they come from. */
  describe() {
    if (!this.levels.length && !this.known) {
      return this.range ? "No levels are known: nobody measured them while the call lasted." : "";
    }
    if (!this.levels.length) return `Levels: ${LOOKS}. Where nothing is drawn, they were not known.`;
    const since = `Levels are measured since ${duration(this.levels[0].at)}, when this page was opened.`;
    return `${since} ${this.known ? `Pale: ${LOOKS}.` : "Before that they were not known."}`;
  }

  /** Show a stream that is over from its beginning to its end. */
  close(seconds) {
    this.range = [0, Math.max(seconds, 1)];
    this.changed();
  }

  changed() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  draw() {
    const width = this.canvas.clientWidth;
    if (!width) return;
    this.lane = LANES[this.range && !this.levels.length && !this.known ? "none" : "measured"];
    const height = 2 * this.lane + NAMES;
    this.canvas.style.height = `${height}px`;
    const ratio = devicePixelRatio;
    const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== wide || this.canvas.height !== high) {
      Object.assign(this.canvas, { width: wide, height: high });
    }
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const style = getComputedStyle(this.canvas);
    const colour = (name) => style.getPropertyValue(`--${name}`);
    const last = this.levels.at(-1)?.at ?? Math.max(this.marks.at(-1)?.at ?? 0, this.looked);
    const [from, to] = this.range ?? [this.whole ? 0 : Math.max(0, last - SECONDS), Math.max(last, SECONDS)];
    const x = (at) => ((at - from) / (to - from)) * width;
    this.choice.hidden = this.range !== null || last <= SECONDS;
    setText(this.about, this.describe());
    this.drawImpairments(context, x, from, to, colour);
    this.drawLevels(context, x, from, colour);
    this.drawSounds(context, x, from, to, colour);
    this.drawMarks(context, x, from, to, colour);
  }

  /** The second of the call up to which its description has levels. */
  get looked() {
    return this.history.every_s * this.history.caller.length;
  }

  drawLevels(context, x, from, colour) {
    context.fillStyle = colour("line");
    for (const middle of [this.lane / 2, this.lane * 1.5]) context.fillRect(0, middle, this.canvas.clientWidth, 1);
    const lanes = { caller: [this.lane / 2, colour("good")], us: [this.lane * 1.5, colour("accent")] };
    const measured = this.levels[0]?.at ?? Infinity;
    const every = this.history.every_s;
    for (const [side, [middle, fill]] of Object.entries(lanes)) {
      const bar = (at, seconds, level) => {
        const high = Math.max(1, (1 - Math.min(0, Math.max(SOFTEST, level)) / SOFTEST) * (this.lane - 4));
        const wide = Math.max(1, x(from + seconds) - 0.5);
        context.fillRect(x(at) - wide, middle - high / 2, wide, high);
      };
      context.fillStyle = fill;
      context.globalAlpha = PALE;
      for (const [n, level] of this.history[side].entries()) {
        const at = (n + 1) * every;
        if (at >= from && at < measured && level !== null) bar(at, every, level);
      }
      context.globalAlpha = 1;
      for (const level of this.levels) {
        if (level.at >= from && level[side] !== null) bar(level.at, STEP, level[side]);
      }
    }
  }

  drawImpairments(context, x, from, to, colour) {
    context.fillStyle = colour("wrong");
    for (const { from_s: begin, to_s: end } of this.impairments) {
      if (end < from || begin > to) continue;
      context.fillRect(x(begin), 0, Math.max(2, x(end) - x(begin)), BAND);
    }
  }

  /** What played: as measured while somebody looks, and as the stream's description has it before and afterwards. */
  soundsShown() {
    if (this.range) return this.sounds;
    const first = this.levels[0]?.at ?? Infinity;
    const shown = this.sounds.filter(({ to }) => to <= first);
    for (const { at, playing } of this.levels) {
      const latest = shown.at(-1);
      if (latest && latest.name === playing && at - latest.to < 2) latest.to = at;
      else shown.push({ name: playing, from: at - STEP, to: at });
    }
    return shown.filter(({ name }) => name);
  }

  drawSounds(context, x, from, to, colour) {
    const top = 2 * this.lane;
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    for (const sound of this.soundsShown()) {
      if (sound.to < from || sound.from > to) continue;
      const left = Math.max(0, x(sound.from));
      const wide = Math.max(2, x(sound.to) - left);
      context.fillStyle = colour("line");
      context.fillRect(left, top + 1, wide, NAMES - 2);
      context.save();
      context.beginPath();
      context.rect(left, top, wide - 2, NAMES);
      context.clip();
      context.fillStyle = colour("text");
      context.fillText(sound.name, left + 4, top + NAMES / 2 + 1);
      context.restore();
    }
  }

  drawMarks(context, x, from, to, colour) {
    const colours = { wrong: colour("wrong"), heard: colour("good"), done: colour("dim") };
    for (const { at, tone, text } of this.marks) {
      if (at < from || at > to) continue;
      context.fillStyle = colours[tone];
      context.fillRect(x(at), 0, tone === "wrong" ? 2 : 1, 2 * this.lane);
      context.fillText(text, x(at) + 3, 8);
    }
  }

  end() {
    cancelAnimationFrame(this.frame);
    this.resized.disconnect();
    this.scheme.removeEventListener("change", this.onscheme);
  }
}
