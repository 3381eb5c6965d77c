/** Live: all streams in progress. */

import { request, requestAll } from "../lib/api.js";
import { el } from "../lib/dom.js";
import { followEvents } from "../lib/events.js";
import { count, duration } from "../lib/format.js";
import { hasLevels, LevelFeed, Meter } from "../lib/levels.js";
import { poll } from "../lib/poll.js";
import { Table } from "../lib/table.js";

const EVERY = 3; // seconds between two looks at all streams, at least, and between two renderings
// Streams that are described in a second, on average: to describe one takes the server some 20 microseconds.
const DESCRIBED = 150;
const ASKED = 4; // streams that have begun, of which more is asked for in a second

const COLUMNS = [
  { key: "path", label: "Path", value: (stream) => stream.path, text: (stream) => stream.path },
  {
    key: "direction",
    label: "Direction",
    value: (stream) => stream.direction,
    text: (stream) => stream.direction,
    minor: true,
  },
  { key: "peer", label: "Peer", value: (stream) => stream.peer ?? "", text: (stream) => stream.peer ?? "" },
  { key: "wire", label: "Wire format", value: (stream) => stream.wire, text: (stream) => stream.wire, minor: true },
  {
    key: "duration",
    label: "Duration",
    value: ({ duration_s, seen }) => duration_s - seen / 1000, // which stays the same while it lasts
    text: (stream) => duration(durationOf(stream)),
    number: true,
  },
  {
    key: "late",
    label: "Late",
    value: (stream) => stream.late,
    text: (stream) => count(stream.late),
    number: true,
    minor: true,
  },
  { key: "call", label: "Call", value: callOf, text: callOf },
  { key: "label", label: "Label", value: labelOf, text: labelOf },
];
const LEVELS = { key: "levels", label: "Caller, us", fill: (cell) => fillLevels(cell) };

/** How long a stream has lasted by now, in seconds: as it was seen last, and the time since. */
function durationOf({ duration_s, seen }) {
  return duration_s + (performance.now() - seen) / 1000;
}

function callOf(stream) {
  return stream.call ?? stream.resource ?? "";
}

function labelOf(stream) {
  return stream.label ?? "";
}

function fillLevels(cell) {
  const meters = { caller: new Meter("Level of the caller"), us: new Meter("Level of us") };
  cell.append(meters.caller.element, meters.us.element);
  cell.classList.add("levels");
  return meters;
}

/** All streams as far as they are known: from looks at all of them, and from events in between. */
class Streams {
  constructor() {
    this.byId = new Map();
    this.ended = new Map(); // when events told of an end, by the streams' ids
    this.total = 0;
    this.due = 0; // when all of them are looked at again: the later, the more there are
  }

  async look() {
    const began = performance.now();
    if (began < this.due) return;
    const { found, total } = await requestAll("/v1/streams", "streams");
    for (const stream of found) {
      if (!this.ended.has(stream.id)) this.byId.set(stream.id, { ...stream, seen: performance.now() });
    }
    for (const [id, stream] of this.byId) if (stream.seen < began) this.byId.delete(id);
    for (const [id, moment] of this.ended) if (moment < began) this.ended.delete(id);
    this.total = Math.max(total, this.byId.size);
    this.due = began + (this.total / DESCRIBED) * 1000;
  }

  /** Take an event. Returns the id of a stream that has begun, of which little is known yet. */
  take({ type, stream, data }) {
    if (type === "stream.ended") {
      this.ended.set(stream, performance.now());
      this.total -= this.byId.delete(stream) ? 1 : 0;
      return null;
    }
    if (this.byId.has(stream)) return null;
    const known = { id: stream, path: data.path, wire: data.wire, resource: data.resource, direction: "in" };
    this.byId.set(stream, { ...known, duration_s: 0, late: 0, seen: performance.now() });
    this.total += 1;
    return stream;
  }

  /** Take what was asked of one stream. */
  describe(stream) {
    if (this.byId.has(stream.id)) this.byId.set(stream.id, { ...stream, seen: performance.now() });
  }
}

/** The page, with a text by which the streams are filtered at first. */
export function livePage(root, filter, notice) {
  const streams = new Streams();
  const feed = new LevelFeed((levels) => {
    for (const [id, level] of Object.entries(levels)) {
      const meters = table.rows.get(id)?.parts.levels;
      meters?.caller.show(level?.caller);
      meters?.us.show(level?.us);
    }
  });
  const visible = new Set();
  const observer = new IntersectionObserver((changes) => {
    for (const { target, isIntersecting } of changes) {
      if (isIntersecting) visible.add(target);
      else visible.delete(target);
    }
    measure();
  });
  const observed = new Set();

  function measure() {
    feed.measure([...table.rows.values()].filter((row) => visible.has(row.element)).map((row) => row.key));
  }

  function onrows(rows) {
    if (!hasLevels()) return;
    const present = new Set([...rows.values()].map((row) => row.element));
    for (const element of observed) {
      if (present.has(element)) continue;
      observer.unobserve(element);
      observed.delete(element);
      visible.delete(element);
    }
    for (const element of present) {
      if (observed.has(element)) continue;
      observer.observe(element);
      observed.add(element);
    }
    measure();
  }

  const table = new Table({
    caption: "Streams in progress",
    noun: "stream",
    keyOf: (stream) => stream.id,
    columns: hasLevels() ? [...COLUMNS, LEVELS] : COLUMNS,
    head: (stream) => el("a", { href: `#/stream/${stream.id}` }),
    onrows,
  });
  table.sorted = { key: "duration", down: false };
  table.mark();
  table.search.value = filter;
  root.append(el("h1", {}, "Live"), table.element);

  const show = () => table.update([...streams.byId.values()], streams.total);
  let asked = 0; // of streams that have begun, in the last second: one look at all of them tells of many at once
  async function describe(id) {
    if (asked >= ASKED) return;
    asked += 1;
    setTimeout(() => (asked -= 1), 1000);
    try {
      streams.describe(await request("GET", `/v1/streams/${id}`));
      show();
    } catch {
      // It is over already, or the next look at all streams tells what is wrong.
    }
  }

  const unfollow = followEvents("/v1/events", { type: "stream.started,stream.ended" }, null, (event) => {
    if (document.hidden) return; // the first look afterwards tells all, however many calls there were
    const begun = streams.take(event);
    if (begun) describe(begun);
    show();
  });
  const stop = poll(
    async () => {
      await streams.look();
      show();
    },
    EVERY,
    notice,
  );
  return () => {
    stop();
    unfollow();
    feed.close();
    observer.disconnect();
  };
}
