/** Prompts: all that can be played, how it looks, and how callers hear it. */

import { can, request, requestAll, ticketUrl } from "../lib/api.js";
import { el, facts, labelled, setText } from "../lib/dom.js";
import { Outcome } from "../lib/outcome.js";
import { poll } from "../lib/poll.js";
import { Table } from "../lib/table.js";
import { PromptChanges } from "./prompt_changes.js";
import { PromptFolders } from "./prompt_folders.js";
import { promptUploads } from "./prompt_uploads.js";
import { Waveform } from "./waveform.js";

const EVERY = 10; // seconds between two looks at the prompts
const LAWS = [
  ["", "as it is kept, 16 bits"],
  ["mulaw", "through µ-law"],
  ["alaw", "through A-law"],
];

const decibels = (value) => value.toFixed(1);

const COLUMNS = [
  { key: "name", label: "Prompt", value: (prompt) => prompt.name, text: (prompt) => prompt.name },
  {
    key: "duration",
    label: "Seconds",
    value: (prompt) => prompt.duration_s,
    text: (prompt) => prompt.duration_s.toFixed(2),
    number: true,
  },
  {
    key: "peak",
    label: "Peak dBFS",
    value: (prompt) => prompt.peak_dbfs,
    text: (prompt) => decibels(prompt.peak_dbfs),
    number: true,
  },
  {
    key: "loudness",
    label: "LUFS",
    value: (prompt) => prompt.loudness_lufs,
    text: (prompt) => decibels(prompt.loudness_lufs),
    number: true,
    minor: true,
  },
  { key: "source", label: "Source", value: (prompt) => prompt.source, text: (prompt) => prompt.source, minor: true },
  {
    key: "warnings",
    label: "Warnings",
    value: (prompt) => prompt.warnings.length,
    text: (prompt) => String(prompt.warnings.length || ""),
    number: true,
    minor: true,
  },
];

/** The panel of the prompt that was chosen. */
class Details {
  /** `changes` is the panel that changes the prompt, null where nothing may be changed. */
  constructor(changes, notice) {
    Object.assign(this, { changes, notice });
    this.name = null;
    this.title = el("h2", { tabindex: "-1" });
    this.waveform = new Waveform();
    this.audio = el("audio", { controls: true, preload: "auto" });
    // The ticket in a URL is good for one request: a browser that needs another one gets another URL.
    this.audio.addEventListener("error", () => this.again());
    const laws = LAWS.map(([value, label]) => el("option", { value }, label));
    this.law = el("select", { onchange: () => this.load() }, ...laws);
    this.about = el("div", {});
    this.element = el(
      "section",
      { "aria-label": "The chosen prompt", hidden: true },
      this.title,
      this.waveform.canvas,
      el("div", { class: "tools" }, labelled("Sound", this.law)),
      this.audio,
      this.about,
      changes?.element,
    );
  }

  async show(prompt) {
    this.name = prompt.name;
    this.element.hidden = false;
    setText(this.title, prompt.name);
    const pairs = [
      ["length", `${prompt.duration_s} s`],
      ["source", prompt.source],
      ["peak", `${decibels(prompt.peak_dbfs)} dBFS`],
      ["loudness", `${decibels(prompt.loudness_lufs)} LUFS`],
    ];
    const warnings = prompt.warnings.map((warning) => el("li", {}, warning));
    this.about.replaceChildren(facts(pairs), el("ul", { class: "warn" }, ...warnings));
    this.waveform.show([], "Waveform");
    this.title.focus();
    this.load();
    this.changes?.show(prompt.name);
    try {
      const found = await request("GET", `/v1/prompts/${prompt.name}/waveform`);
      if (this.name !== prompt.name) return;
      this.waveform.show(found.waveform, `Waveform of ${prompt.name}, ${found.duration_s} seconds`);
    } catch (error) {
      this.notice(error);
    }
  }

  /** Give the player a new URL of the prompt. */
  async load() {
    const [name, law] = [this.name, this.law.value];
    this.loaded = performance.now();
    try {
      const url = await ticketUrl(`/v1/prompts/${name}/audio`, law ? { law } : {});
      if (name === this.name && law === this.law.value) this.audio.src = url;
    } catch (error) {
      this.notice(error);
    }
  }

  async again() {
    if (!this.audio.hasAttribute("src") || performance.now() - this.loaded < 1000) return;
    await this.load();
    this.audio.play().catch(() => {}); // the server is gone, which the page notices by itself
  }

  /** Show no prompt, until another one is chosen. */
  hide() {
    this.close();
    this.element.hidden = true;
  }

  close() {
    this.name = null;
    this.audio.removeAttribute("src"); // which ends a request that is still under way
    this.audio.load();
    this.waveform.close();
  }
}

export function promptsPage(root, _, notice) {
  const byName = new Map();
  let limit = 0;
  const removed = new Outcome(notice);
  const parts = { limit: () => limit, notice };
  const changes = can("prompts") ? new PromptChanges({ ...parts, changed, removed }) : null;
  const details = new Details(changes, notice);
  const uploads = changes && promptUploads({ ...parts, changed: refresh });
  const choose = (name) => details.show(byName.get(name));
  const problems = el("ul", { class: "wrong" });
  const table = new Table({
    caption: "Prompts",
    noun: "prompt",
    keyOf: (prompt) => prompt.name,
    columns: COLUMNS,
    head: ({ name }) => el("button", { type: "button", class: "link", onclick: () => choose(name) }),
  });

  let all = { found: [], total: 0 };
  const showTable = () => table.update(all.found.filter(({ name }) => folders.has(name)), all.total);
  const folders = new PromptFolders(showTable);

  async function refresh() {
    all = await requestAll("/v1/prompts", "prompts", { limit: 1000 });
    const { found, first } = all;
    byName.clear();
    for (const prompt of found) byName.set(prompt.name, prompt);
    folders.show(found.map(({ name }) => name));
    showTable();
    limit = first.upload_limit;
    if (changes) changes.element.hidden = uploads.hidden = !first.editable;
    const lines = first.problems.map(({ file, why }) => el("li", {}, `${file} ${why}`));
    if (problems.children.length !== lines.length) problems.replaceChildren(...lines);
  }

  /** Show how it is after a change, with the prompt `shown`, null for none. */
  async function changed(shown) {
    try {
      await refresh();
    } catch (error) {
      notice(error);
    }
    if (byName.has(shown)) choose(shown);
    else details.hide();
  }

  if (changes) changes.element.hidden = uploads.hidden = true; // until the server tells whether prompts may be changed
  const beside = el("div", { class: "beside" }, table.element, details.element);
  root.append(
    el("h1", {}, "Prompts"),
    ...(changes ? [uploads, removed.element] : []),
    folders.element,
    beside,
    problems,
  );
  const stop = poll(refresh, EVERY, notice);
  return () => {
    stop();
    details.close();
  };
}
