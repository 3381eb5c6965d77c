/** Health: whether calls are taken, whether sound is on time, and what was refused or failed since the start. */

import { request, requestText } from "../lib/api.js";
import { bar, el, facts, setText } from "../lib/dom.js";
import { clock, count } from "../lib/format.js";
import { poll } from "../lib/poll.js";
import { bucketsOf, parseMetrics, sumsBy, valueOf } from "../lib/prometheus.js";

const EVERY = 5; // seconds between two looks
const NONE = "None so far.";
const OURS = "mediaserver_";

// Counters of what became of something, of which these results are failures.
const RESULTS = [
  ["webhooks_total", "event for your URL"],
  ["sentences_total", "sentence to be spoken"],
  ["recognitions_total", "utterance to be recognised"],
  ["reloads_total", "reload"],
  ["disk_cache_total", "look-up in the cache on disk"],
];
const FAILED = new Set(["failed", "dropped"]);

/** A table of names and counts, each with a bar; or a line where there are none. */
function counts(caption, rows, none) {
  if (!rows.length) return el("p", { class: "dim" }, none);
  const most = Math.max(...rows.map(([, value]) => value));
  const line = ([name, value]) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, name),
      el("td", { class: "number" }, count(value)),
      el("td", { class: "share" }, bar(value / most)),
    );
  const heading = el("caption", { class: "spoken" }, caption);
  return el("table", { class: "counts" }, heading, el("tbody", {}, ...rows.map(line)));
}

function card(title, ...children) {
  return el("section", { "aria-label": title }, el("h2", {}, title), ...children);
}

function milliseconds([bound, value]) {
  return [bound === Infinity ? "longer" : `up to ${Number((bound * 1000).toPrecision(3))} ms`, value];
}

function streams(metrics) {
  const now = sumsBy(metrics, `${OURS}sessions`, "path");
  const total = now.reduce((sum, [, value]) => sum + value, 0);
  const ended = sumsBy(metrics, `${OURS}sessions_ended_total`, "reason");
  const most = valueOf(metrics, `${OURS}max_streams`);
  return [
    card(
      "Streams now",
      el("p", {}, `${count(total)} of at most ${count(most)}`),
      bar(total / most),
      counts("Streams now, by path", now, ""),
    ),
    card("Streams ended", counts("Streams ended, by reason", ended, NONE)),
  ];
}

/** What the process uses. `before` has what an earlier look has found, of which the CPU time is the difference. */
function load(metrics, before) {
  const [cpu, at] = [valueOf(metrics, "process_cpu_seconds_total"), performance.now() / 1000];
  const share = before.at === undefined ? null : (100 * (cpu - before.cpu)) / (at - before.at);
  Object.assign(before, { cpu, at });
  const pairs = [
    ["CPU", share === null ? "–" : `${Math.max(0, share).toFixed(0)} % of a core`],
    ["memory", `${count(valueOf(metrics, "process_resident_memory_bytes") / 1e6)} MB`],
    [
      "open files",
      `${count(valueOf(metrics, "process_open_fds"))} of at most ${count(valueOf(metrics, "process_max_fds"))}`,
    ],
  ];
  return card("Load", facts(pairs));
}

function onTime(metrics) {
  const names = [
    ["late_ticks_total", "frames caught up"],
    ["skipped_ticks_total", "frames' time lost"],
    ["underruns_total", "frames of silence for want of sound"],
    ["stalls_total", "pauses for slow peers"],
  ];
  const lateness = bucketsOf(metrics, `${OURS}tick_lateness_seconds`).map(milliseconds);
  const lag = bucketsOf(metrics, `${OURS}loop_lag_seconds`).map(milliseconds);
  return [
    card("Lateness of frames", counts("How late frames were sent", lateness, "No frame was sent yet.")),
    card("Lag of the event loop", counts("How late the event loop was", lag, "Not measured yet.")),
    card("Sound that was late", facts(names.map(([name, label]) => [label, count(valueOf(metrics, OURS + name))]))),
  ];
}

function refusals(metrics) {
  return [
    ["Refused calls", "refusals_total", "reason"],
    ["Faults of peers", "peer_faults_total", "kind"],
    ["Refused on this port", "admin_refusals_total", "reason"],
  ].map(([title, name, label]) => {
    const rows = sumsBy(metrics, OURS + name, label);
    return card(title, counts(`${title}, by ${label}`, rows, NONE));
  });
}

function failures(metrics) {
  const all = sumsBy(metrics, `${OURS}events_total`, "type");
  const events = all.filter(([type]) => /\.(failed|lost|silent|inbound)$/.test(type));
  const results = RESULTS.flatMap(([name, noun]) =>
    sumsBy(metrics, OURS + name, "result")
      .filter(([result]) => FAILED.has(result))
      .map(([result, value]) => [`${noun}: ${result}`, value]),
  );
  return [card("Failures", counts("Failures, by kind", [...events, ...results], NONE)), ...engines(metrics)];
}

/** The engines of speech, recognition and chat that paths need, with how often each has failed. */
function engines(metrics) {
  const failed = new Map(
    (metrics.get(`${OURS}engine_failures_total`) ?? []).map(({ labels, value }) => [JSON.stringify(labels), value]),
  );
  const rows = (metrics.get(`${OURS}engine_healthy`) ?? []).map(({ labels, value }) => {
    const state = value ? "ready" : "not ready, or its last request failed";
    const failures = failed.get(JSON.stringify(labels)) ?? 0;
    return [`${labels.engine} (${labels.kind})`, failures ? `${state}; failed ${count(failures)} times` : state];
  });
  return rows.length ? [card("Engines", facts(rows))] : [];
}

/** The latest reloads of the configuration, with their mistakes. */
function reloads(found) {
  const lines = found.map(({ time, mistakes }) =>
    el(
      "li",
      {},
      el("time", { datetime: time }, clock(new Date(time))),
      mistakes.length ? " refused:" : " taken in",
      mistakes.length ? el("ul", { class: "wrong" }, ...mistakes.map((line) => el("li", {}, line))) : null,
    ),
  );
  return card("Reloads", lines.length ? el("ul", { class: "reloads" }, ...lines) : el("p", { class: "dim" }, NONE));
}

function state(metrics) {
  const current = valueOf(metrics, `${OURS}configuration_current`);
  const problems = [
    [!current, "The configuration in the files has mistakes, and is not in force: see Reloads."],
    [valueOf(metrics, `${OURS}prompt_errors`), "Some files in the prompt folder cannot be played: see Prompts."],
    [valueOf(metrics, `${OURS}paths_without_prompts`), "Some paths lack their prompts."],
  ];
  return problems.filter(([is]) => is).map(([, text]) => el("li", {}, text));
}

export function healthPage(root, _, notice) {
  const ready = el("p", { class: "state", role: "status" });
  const problems = el("ul", { class: "warn" });
  const cards = el("div", { class: "packed" });
  const before = {};
  root.append(el("h1", {}, "Health"), ready, problems, cards);
  return poll(
    async () => {
      const asked = [requestText("/readyz"), requestText("/metrics"), request("GET", "/v1/reloads")];
      const [probe, found, latest] = await Promise.all(asked);
      const metrics = parseMetrics(found.text, OURS);
      const version = metrics.get(`${OURS}build_info`)?.[0].labels.version ?? "";
      const text = probe.status === 200 ? "Ready: calls are taken" : `Not ready: ${probe.text.trim()}`;
      setText(ready, `${text}. Version ${version}, figures since it was started.`);
      ready.classList.toggle("wrong", probe.status !== 200);
      problems.replaceChildren(...state(metrics));
      const used = load(parseMetrics(found.text, "process_"), before);
      const rest = [...refusals(metrics), ...failures(metrics), reloads(latest.reloads)];
      cards.replaceChildren(...streams(metrics), used, ...onTime(metrics), ...rest);
    },
    EVERY,
    notice,
  );
}
