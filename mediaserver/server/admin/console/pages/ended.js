/** Ended: the latest streams that are over, and what was bad about them. */

import { request } from "../lib/api.js";
import { el } from "../lib/dom.js";
import { clock, duration } from "../lib/format.js";
import { poll } from "../lib/poll.js";
import { words } from "../lib/problems.js";
import { Table } from "../lib/table.js";

const EVERY = 5; // seconds between two looks
const MOST = 200; // streams that are asked for

function plain(key, label, more = {}) {
  const value = (stream) => stream[key] ?? "";
  return { key, label, value, text: value, ...more };
}

const COLUMNS = [
  plain("path", "Path"),
  plain("ended", "Ended", { text: ({ ended }) => clock(new Date(ended)) }),
  plain("peer", "Peer", { minor: true }),
  plain("duration_s", "Duration", { text: (stream) => duration(stream.duration_s), number: true }),
  plain("reason", "Reason", { minor: true }),
  plain("call", "Call", {
    value: ({ call, resource }) => call || resource || "",
    text: ({ call, resource }) => call || resource || "",
  }),
  plain("label", "Label", { minor: true }),
  plain("problems", "Problems", {
    value: ({ problems }) => problems.length,
    text: ({ problems }) => problems.map(({ kind }) => words(kind)).join(", "),
    wrong: true,
  }),
];

/** The page, with a text by which the streams are filtered at first. */
export function endedPage(root, filter, notice) {
  const table = new Table({
    caption: "Streams that are over",
    noun: "stream",
    keyOf: (stream) => stream.id,
    columns: COLUMNS,
    head: (stream) => el("a", { href: `#/stream/${stream.id}` }),
  });
  table.sorted = { key: "ended", down: true };
  table.mark();
  table.search.value = filter;
  const bad = el("input", { type: "checkbox", onchange: () => look().catch(notice) });
  const only = el("label", { class: "check" }, bad, "only bad ones");
  table.search.parentElement.insertBefore(only, table.summary);
  const about = "The latest streams that are over, until the server is restarted. The path leads to what happened.";
  root.append(el("h1", {}, "Ended"), el("p", { class: "dim" }, about), table.element);

  async function look() {
    const { streams } = await request("GET", "/v1/ended-streams", { query: { limit: MOST, problems: bad.checked } });
    table.update(streams);
  }

  return poll(look, EVERY, notice);
}
