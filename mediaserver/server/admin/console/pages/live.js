/** Live: all streams in progress. */

import { el } from "../lib/dom.js";
import { count, duration } from "../lib/format.js";
import { hasLevels, LevelFeed, Meter } from "../lib/levels.js";
import { Overview } from "../lib/overview.js";
import { words } from "../lib/problems.js";
import { Table } from "../lib/table.js";

const EVERY = 1; // seconds between two renderings, in which durations grow

/** A column that shows a text of the streams' rows. */
function plain(key, label, more = {}) {
  const value = (stream) => stream[key];
  return { key, label, value, text: value, ...more };
}

const LEVELS = { key: "levels", label: "Caller, us", fill: (cell) => fillLevels(cell) };

function fillLevels(cell) {
  const meters = { caller: new Meter("Level of the caller"), us: new Meter("Level of us") };
  cell.append(meters.caller.element, meters.us.element);
  cell.classList.add("levels");
  return meters;
}

/** The columns. `durationOf` tells how long a stream has lasted by now. */
function columnsFor(durationOf) {
  return [
    plain("path", "Path"),
    plain("direction", "Direction", { minor: true }),
    plain("peer", "Peer"),
    {
      key: "duration",
      label: "Duration",
      value: ({ began }) => -began, // which stays the same while it lasts
      text: (stream) => duration(durationOf(stream)),
      number: true,
    },
    plain("call", "Call"),
    plain("label", "Label"),
    ...(hasLevels() ? [LEVELS] : []),
    plain("playing", "Plays", { minor: true }),
    plain("problems", "Problems", { text: ({ problems }) => words(problems), wrong: true }),
    plain("wire", "Wire format", { minor: true }),
    plain("inbound", "Caller's codec", { minor: true }),
    plain("late", "Late", { text: ({ late }) => count(late), number: true, minor: true }),
    plain("lost", "Lost", { text: ({ lost }) => count(lost), number: true, minor: true }),
  ];
}

/** The page, with a text by which the streams are filtered at first. */
export function livePage(root, filter, notice) {
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
    columns: columnsFor((stream) => overview.durationOf(stream)),
    head: (stream) => el("a", { href: `#/stream/${stream.id}` }),
    onrows,
  });
  table.sorted = { key: "duration", down: false };
  table.mark();
  table.search.value = filter;
  root.append(el("h1", {}, "Live"), table.element);

  const show = () => table.update([...overview.byId.values()], overview.total);
  const overview = new Overview(show, notice);
  const timer = setInterval(() => document.hidden || show(), EVERY * 1000);
  return () => {
    overview.close();
    clearInterval(timer);
    feed.close();
    observer.disconnect();
  };
}
