/** Stream: one stream in progress, with all that has happened on it, and what can be done with it. */

import { ApiError, request } from "../lib/api.js";
import { el, facts, setText } from "../lib/dom.js";
import { followEvents } from "../lib/events.js";
import { brief, count, duration } from "../lib/format.js";
import { hasLevels, LevelFeed, Meter } from "../lib/levels.js";
import { poll } from "../lib/poll.js";
import { controls } from "./controls.js";
import { listenPanel } from "./listen_panel.js";
import { Timeline } from "./timeline.js";

const EVERY = 2; // seconds between two looks at the stream

// Keys of a stream's description, with what they are called here: what it is, and what was counted.
const FACTS = [
  ["path", "path"],
  ["label", "label"],
  ["direction", "direction"],
  ["peer", "peer"],
  ["wire", "wire format"],
  ["inbound", "inbound codec"],
  ["call", "call"],
  ["resource", "resource"],
  ["duration_s", "duration"],
];
const COUNTS = [
  ["frames", "frames sent"],
  ["received", "messages received"],
  ["late", "late"],
  ["skipped", "skipped"],
  ["underruns", "underruns"],
  ["stalls", "stalls"],
  ["malformed", "malformed"],
  ["dropped", "events dropped"],
  ["keys", "keys"],
  ["inbound_problems", "inbound problems"],
  ["reconnects", "reconnects"],
  ["lost", "frames lost"],
];

function listOf(names, stream) {
  const known = names.filter(([key]) => stream[key] !== undefined && stream[key] !== "");
  const pairs = known.map(([key, name]) => {
    if (key === "duration_s") return [name, duration(stream[key])];
    return [name, typeof stream[key] === "number" ? count(stream[key]) : brief(stream[key])];
  });
  return facts(pairs);
}

/** A stream's description, as the API has it and as the last event of the stream has it. */
function describe(stream) {
  const variables = Object.entries(stream.variables ?? {});
  const shown = variables.length ? [el("h2", {}, "Variables"), facts(variables)] : [];
  return [listOf(FACTS, stream), ...shown, el("h2", {}, "Counts"), listOf(COUNTS, stream)];
}

export function streamPage(root, id, notice) {
  const state = el("p", { class: "state", role: "status" }, "");
  const about = el("div", {});
  const timeline = new Timeline();
  const listen = listenPanel(id, notice);
  const meters = { caller: new Meter("Level of the caller"), us: new Meter("Level of us") };
  const feed = new LevelFeed((levels) => {
    meters.caller.show(levels[id]?.caller);
    meters.us.show(levels[id]?.us);
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
  root.append(
    el("h1", {}, "Stream ", el("code", {}, id)),
    state,
    el(
      "div",
      { class: "columns" },
      el("section", { "aria-label": "Facts" }, el("h2", {}, "Facts"), hasLevels() && levels, listen?.element, about),
      el("section", { "aria-label": "Control" }, el("h2", {}, "Control"), actions.element),
      el("section", { "aria-label": "Events" }, el("h2", {}, "Events"), timeline.element),
    ),
  );

  let over = false;
  const endings = [];
  function end(text) {
    if (over) return;
    over = true;
    setText(state, text);
    state.classList.add("over");
    actions.disable();
    listen?.stop();
    endings.forEach((each) => each());
  }

  async function look() {
    try {
      const stream = await request("GET", `/v1/streams/${id}`);
      if (over) return;
      setText(state, stream.connected ? "In progress" : "Being dialled");
      about.replaceChildren(...describe(stream));
      actions.show(stream);
      timeline.began(stream.duration_s);
      feed.measure([id]);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
      end("There is no such stream in progress.");
    }
  }

  const unfollow = followEvents(`/v1/streams/${id}/events`, {}, 0, (event) => {
    timeline.add(event);
    if (event.type === "stream.ended") {
      about.replaceChildren(...describe(event.data));
      const why = event.data.why ? `: ${event.data.why}` : "";
      end(`Over after ${duration(event.data.duration_s)}: ${event.data.reason}${why}`);
    }
  });
  endings.push(unfollow, poll(look, EVERY, notice), () => feed.close());
  return () => {
    over = true;
    listen?.stop();
    endings.forEach((each) => each());
  };
}
