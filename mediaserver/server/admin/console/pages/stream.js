/** Stream: one stream, in progress or over, with all that has happened on it, and what can be done with it. */

import { ApiError, request } from "../lib/api.js";
import { el, facts, setText } from "../lib/dom.js";
import { followEvents } from "../lib/events.js";
import { brief, count, counted, duration } from "../lib/format.js";
import { hasLevels, LevelFeed, Meter } from "../lib/levels.js";
import { poll } from "../lib/poll.js";
import { Problems } from "../lib/problems.js";
import { controls } from "./controls.js";
import { listenPanel } from "./listen_panel.js";
import { Strip } from "./strip.js";
import { Timeline, tone } from "./timeline.js";

const EVERY = 2; // seconds between two looks at the stream
const UNSEEN = 50; // messages (1 s) beside the counted RTP packets from which on it is said that these are not all
const NOWHERE = "There is no such stream in progress, nor among the latest that are over.";

// Keys of a stream's description, with what they are called here: what it is, and what was counted.
const FACTS = [
  ["path", "path"],
  ["label", "label"],
  ["direction", "direction"],
  ["peer", "peer"],
  ["wire", "wire format"],
  ["inbound", "caller's codec"],
  ["call", "call"],
  ["resource", "resource"],
  ["duration_s", "duration"],
  ["playing", "plays"],
  ["listeners", "listeners"],
];
const COUNTS = [
  ["frames", "frames sent"],
  ["late", "frames late"],
  ["skipped", "frames left out"],
  ["underruns", "frames without sound in time"],
  ["stalls", "pauses for a slow peer"],
  ["stalled_s", "seconds of pauses"],
  ["received", "messages received"],
  ["malformed", "malformed"],
  ["texts", "text messages unread"],
  ["dropped", "events dropped"],
  ["packets", "packets received"],
  ["lost_packets", "packets lost"],
  ["late_packets", "packets too late"],
  ["jitter_ms", "jitter, ms"],
  ["keys", "keys"],
  ["reconnects", "reconnects"],
  ["lost", "frames lost"],
];

function listOf(names, stream) {
  const known = names.filter(([key]) => stream[key] !== undefined && stream[key] !== "");
  const pairs = known.map(([key, name]) => {
    if (key === "duration_s") return [name, duration(stream[key])];
    if (/_(ms|s)$/.test(key)) return [name, stream[key].toFixed(1)];
    return [name, typeof stream[key] === "number" ? count(stream[key]) : brief(stream[key])];
  });
  return facts(pairs);
}

/** A line where RTP packets came while nothing listened: no loss among those is known. */
function unseen({ packets, received, malformed }) {
  const missed = received - malformed - (packets ?? Infinity);
  if (missed < UNSEEN) return null;
  const text = "Nothing listened to the others, so what was lost of these, and their jitter, is not known.";
  return el("p", { class: "dim" }, `${counted(packets, "RTP packet")} of ${count(packets + missed)} counted. ${text}`);
}

/** A stream's description, as the API has it while it lasts and afterwards. */
function describe(stream) {
  const variables = Object.entries(stream.variables);
  const shown = variables.length ? [el("h2", {}, "Variables"), facts(variables)] : [];
  return [listOf(FACTS, stream), ...shown, el("h2", {}, "Counts"), listOf(COUNTS, stream), unseen(stream)];
}

/** The description of a stream in progress, null for a 404. */
async function find(path) {
  try {
    return await request("GET", path);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
    return null;
  }
}

export function streamPage(root, id, notice, place) {
  const state = el("p", { class: "state", role: "status" }, "");
  const problems = new Problems();
  const about = el("div", {});
  const strip = new Strip();
  const timeline = new Timeline();
  const listen = listenPanel(id, notice);
  const meters = { caller: new Meter("Level of the caller"), us: new Meter("Level of us") };
  let ahead = 0; // seconds by which the stream's clock is ahead of the browser's
  const feed = new LevelFeed((levels) => {
    const found = levels[id];
    meters.caller.show(found?.caller);
    meters.us.show(found?.us);
    if (found) strip.push(performance.now() / 1000 + ahead, found);
  });
  const levels = el(
    "div",
    { class: "sides" },
    el("span", { "aria-hidden": "true" }, "Caller"),
    meters.caller.element,
    el("span", { "aria-hidden": "true" }, "Us"),
    meters.us.element,
  );
  const actions = controls(id, () => look().catch(notice), notice);
  const control = el("section", { "aria-label": "Control" }, el("h2", {}, "Control"), actions.element);
  root.append(
    el("h1", {}, "Stream ", el("code", {}, id)),
    state,
    problems.element,
    strip.element,
    el(
      "div",
      { class: "columns" },
      el("section", { "aria-label": "Facts" }, el("h2", {}, "Facts"), hasLevels() && levels, listen?.element, about),
      control,
      el("section", { "aria-label": "Events" }, el("h2", {}, "Events"), timeline.element),
    ),
  );

  let seen = false; // whether the stream was in progress while this page was there
  let over = false;
  let left = false;
  let unfollow = null;

  function end(text) {
    over = true;
    place("ended");
    setText(state, text);
    state.classList.add("over");
    actions.disable();
    control.hidden = !seen;
    feed.close();
    [levels, listen?.element].forEach((each) => each && (each.hidden = true));
    listen?.stop();
  }

  function onevent(event) {
    timeline.add(event);
    strip.mark(timeline.secondsAt(event.time), tone(event.type), event.type === "digits" ? (event.data.digits ?? "") : "");
    if (event.type !== "stream.ended") return;
    unfollow();
    look().catch(notice);
  }

  /** Follow the events. Where there are none any more of a stream that is over, none is waited for. */
  function follow(stream) {
    unfollow ??= followEvents(`/v1/streams/${stream}/events`, {}, 0, onevent, () => over && unfollow());
  }

  function show(stream) {
    about.replaceChildren(...describe(stream).filter(Boolean));
    problems.show(stream.problems);
    timeline.addPlayed(stream.played);
    timeline.addImpairments(stream.impairments ?? []);
    strip.setPlayed(stream.played);
    strip.setHistory(stream.levels, stream.impairments);
  }

  function showEnded(stream) {
    timeline.began(stream.duration_s, Date.parse(stream.ended));
    show(stream);
    strip.close(stream.duration_s);
    const why = stream.why ? `: ${stream.why}` : "";
    if (!over) end(`Over after ${duration(stream.duration_s)}: ${stream.reason}${why}`);
    follow(stream.id);
  }

  async function look() {
    const stream = over ? null : await find(`/v1/streams/${id}`);
    if (left || (over && stream)) return;
    if (!stream) {
      const ended = await find(`/v1/ended-streams/${id}`);
      if (left) return;
      if (ended) showEnded(ended);
      else if (seen) setText(state, "Being closed"); // it is among those that are over once its peer has answered
      else {
        end(NOWHERE);
        stop();
      }
      return;
    }
    seen = true;
    setText(state, stream.connected ? "In progress" : "Being dialled");
    ahead = stream.duration_s - performance.now() / 1000;
    timeline.began(stream.duration_s);
    show(stream);
    actions.show(stream);
    feed.measure([id]);
    follow(stream.id);
  }

  const stop = poll(look, EVERY, notice);
  return () => {
    left = true;
    stop();
    unfollow?.();
    feed.close();
    strip.end();
    listen?.stop();
  };
}
