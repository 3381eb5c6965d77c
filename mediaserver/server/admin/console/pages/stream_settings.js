/**
 * What is set on a stream, and stays so: its gain, who is muted, its recordings, its path and its label.
 *
 * All of it is shown as the server tells it, because other tokens change it as well.
 */

import { request } from "../lib/api.js";
import { button, el, labelled, setText } from "../lib/dom.js";
import { duration } from "../lib/format.js";

const SIDES = { us: "Mute our sound", caller: "Mute the caller" };
const PATHS = "paths"; // the id of the list of paths that the browser suggests

/** A text field with a button, which the key Enter stands for. */
function entry(label, field, name, onset, off) {
  const set = button(name, onset, off);
  field.addEventListener("keydown", (event) => event.key === "Enter" && set.click());
  return [labelled(label, field), set];
}

/** Have a field show values of the server. What the user has typed and not sent yet stays. */
function following(field) {
  let shown = field.value;
  return (value) => {
    if (field.value === shown) field.value = value;
    shown = value;
  };
}

/** The name of a recording among those of a stream: its handler's have no id. */
function keyOf({ id, file }) {
  return id ?? file;
}

/**
 * The recordings in progress: their files, how long they are, and whether they are paused. Those that requests have
 * begun have a button that ends them. `stop` gets a recording's id.
 */
class RecordingList {
  constructor(stop, off) {
    Object.assign(this, { stop, off });
    this.rows = new Map();
    this.list = el("ul", { class: "recordings", "aria-label": "Recordings of this stream" });
    this.none = el("p", { class: "dim" }, "Nothing records this stream.");
    this.element = el("div", { tabindex: "-1" }, this.none, this.list);
  }

  /** Show these recordings. Rows that stay are kept, so that the focus stays in them. */
  show(recordings) {
    const present = new Set(recordings.map(keyOf));
    for (const [key, { row }] of this.rows) {
      if (present.has(key)) continue;
      if (row.contains(document.activeElement)) this.element.focus(); // so that it stays in this part of the page
      row.remove();
      this.rows.delete(key);
    }
    for (const recording of recordings) {
      const { state } = this.rows.get(keyOf(recording)) ?? this.add(recording);
      const how = recording.error ? `, failed: ${recording.error}` : recording.paused ? ", paused" : "";
      setText(state, duration(recording.seconds) + how);
    }
    this.none.hidden = this.rows.size > 0;
  }

  add({ id, file }) {
    const state = el("span", { class: "dim" });
    const label = `Stop recording ${file}`;
    const end = id === null ? null : button("Stop", () => this.stop(id), { "aria-label": label, ...this.off });
    const row = el("li", {}, el("span", {}, `${file}, `, state), end);
    this.rows.set(keyOf({ id, file }), { row, state });
    this.list.append(row);
    return this.rows.get(keyOf({ id, file }));
  }
}

/** The paths that are configured, into the list that the browser suggests. */
async function fillPaths(list) {
  const { paths } = await request("GET", "/v1/paths");
  list.replaceChildren(...paths.map(({ path }) => el("option", { value: path })));
}

/**
 * The controls of a stream's settings. `act` makes a request, and tells how it went. `changed` is called after each,
 * so that the stream is asked for what is set now. Returns `elements`, of which one is for each setting, `show` for a
 * description of the stream, and `fill`, which asks for what fields suggest.
 */
export function streamSettings({ act, changed, off }) {
  const set = async (...request) => {
    await act(...request);
    changed();
  };

  const gain = el("input", { type: "number", step: "any", value: "0", ...off });
  const loudness = el("span", { class: "dim" });
  // What is no number is null here, which the server refuses with its reason.
  const setGain = () => set(() => `The gain is ${gain.value} dB`, "PUT", "/gain", { gain: gain.valueAsNumber });
  const showGain = following(gain);

  const mute = (side, toggle) => {
    const muted = toggle.getAttribute("aria-pressed") === "false";
    set(() => `${SIDES[side]}: ${muted ? "on" : "off"}`, "PUT", "/mute", { muted, side });
  };
  const toggles = Object.entries(SIDES).map(([side, label]) => {
    const toggle = button(label, () => mute(side, toggle), { "aria-pressed": "false", ...off });
    return { side, toggle };
  });

  const stereo = el("input", { type: "checkbox", ...off });
  const record = () => set(() => "A recording has begun", "POST", "/recording", { stereo: stereo.checked });
  const pause = (paused) =>
    set(() => (paused ? "Recordings are paused" : "Recordings go on"), "PUT", "/recording", { paused });
  const stop = (id) => set(() => "The recording is ended", "DELETE", `/recording/${id}`);
  const recordings = new RecordingList(stop, off);

  const suggested = el("datalist", { id: PATHS });
  const to = el("input", { type: "text", list: PATHS, spellcheck: "false", autocomplete: "off", ...off });
  const goTo = () =>
    to.value.trim() && set((answer) => `Switched to ${answer.path}`, "POST", "/switch", { path: to.value.trim() });

  const label = el("input", { type: "text", spellcheck: "false", autocomplete: "off", ...off });
  const setLabel = () => {
    const text = label.value.trim();
    set(() => (text ? `The label is ${text}` : "There is no label now"), "PUT", "/label", { label: text || null });
  };
  const showLabel = following(label);

  const row = (...children) => el("div", { class: "tools" }, ...children);
  return {
    elements: [
      row(...entry("Gain, dB", gain, "Set gain", setGain, off), loudness),
      row(...toggles.map(({ toggle }) => toggle)),
      row(
        button("Record", record, off),
        el("label", { class: "check" }, stereo, "caller left, us right"),
        button("Pause recording", () => pause(true), off),
        button("Resume recording", () => pause(false), off),
      ),
      recordings.element,
      row(...entry("Path", to, "Switch", goTo, off), suggested),
      row(...entry("Label", label, "Set label", setLabel, off)),
    ],
    show: (stream) => {
      showGain(String(stream.gain));
      setText(loudness, `now ${stream.gain} dB`);
      for (const { side, toggle } of toggles) toggle.setAttribute("aria-pressed", stream.muted.includes(side));
      recordings.show(stream.recordings);
      showLabel(stream.label ?? "");
    },
    fill: () => fillPaths(suggested),
  };
}
