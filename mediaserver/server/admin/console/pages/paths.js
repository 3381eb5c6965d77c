/** Paths: what is configured, who may dial it, and where the keys of menus lead. */

import { request } from "../lib/api.js";
import { button, el, facts, setText } from "../lib/dom.js";
import { count, duration } from "../lib/format.js";
import { poll } from "../lib/poll.js";
import { callPanel, canCall } from "./call_panel.js";
import { menuGraph } from "./menu_graph.js";

const EVERY = 5; // seconds between two looks at the paths

/** The transitions of a menu flow as a table, for those who cannot see the graph. */
function transitionTable(menus) {
  const heads = ["Menu", "Key", "Leads to"].map((text) => el("th", { scope: "col" }, text));
  const cells = ({ menu, key, leads_to }) => [menu, key, leads_to].map((text) => el("td", {}, text));
  const rows = menus.map((each) => el("tr", {}, ...cells(each)));
  const table = el("table", {}, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...rows));
  return el("details", {}, el("summary", {}, "The same as a table"), el("div", { class: "scroll" }, table));
}

function access(path) {
  const words = path.open ? "open: everybody who reaches the port" : `by ${path.access}`;
  return el("span", { class: path.open ? "warn" : null }, words);
}

function describe(path) {
  const pairs = [
    ["handler", path.handler],
    ["access", access(path)],
    ["encapsulation", path.encapsulation],
    ["streams at most", count(path.max_streams)],
    ["time limit", path.time_limit_s ? duration(path.time_limit_s) : "none"],
  ];
  if (path.audiosocket_ports.length) pairs.push(["AudioSocket port", path.audiosocket_ports.join(", ")]);
  if (path.prompts.length) pairs.push(["prompts", path.prompts.join(", ")]);
  return facts(pairs);
}

/** A path, with the node whose text is the number of its streams. `oncall` gets the pattern to be called. */
function card(path, oncall) {
  const streams = el("span", { class: "streams" });
  const filter = encodeURIComponent(path.path.split("{")[0]);
  const link = el("a", { href: `#/live/${filter}` }, streams);
  const call = canCall() && button("Call…", () => oncall(path.path), { "aria-label": `Call ${path.path}…` });
  const line = el("div", { class: "tools" }, link, call);
  const parts = [el("h2", {}, el("code", {}, path.path)), line, describe(path)];
  if (path.menus.length) {
    const graph = menuGraph(path.menus, path.start, `Menus of ${path.path}: the table below says the same`);
    const scroll = { class: "scroll", tabindex: "0", role: "region", "aria-label": `Menus of ${path.path}` };
    parts.push(el("div", scroll, graph), transitionTable(path.menus));
  }
  return { element: el("article", { class: path.menus.length ? "wide" : null }, ...parts), streams };
}

export function pathsPage(root, _, notice) {
  const cards = el("div", { class: "cards" });
  let shown = "";
  let counts = [];
  const panel = callPanel(notice);
  root.append(el("h1", {}, "Paths"), panel.element, cards);
  const stop = poll(
    async () => {
      const { paths } = await request("GET", "/v1/paths");
      const now = JSON.stringify(paths.map((path) => ({ ...path, streams: 0 })));
      if (now !== shown) {
        const made = paths.map((path) => card(path, panel.choose));
        cards.replaceChildren(...made.map(({ element }) => element));
        counts = made.map(({ streams }) => streams);
        shown = now;
      }
      paths.forEach((path, at) => setText(counts[at], `${count(path.streams)} in progress`));
    },
    EVERY,
    notice,
  );
  return () => {
    stop();
    panel.close();
  };
}
