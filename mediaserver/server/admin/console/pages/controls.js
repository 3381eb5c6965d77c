/** What can be done with a stream: play, say, press keys, change what is set on it, hang up. */

import { can, request, requestAll } from "../lib/api.js";
import { button, el, labelled } from "../lib/dom.js";
import { keypad } from "../lib/keypad.js";
import { confirmation, Outcome } from "../lib/outcome.js";
import { streamSettings } from "./stream_settings.js";

/** The names of all prompts, into a list from which one is chosen. */
async function fillPrompts(select, play) {
  const { found } = await requestAll("/v1/prompts", "prompts", { limit: 1000 });
  select.replaceChildren(...found.map(({ name }) => el("option", { value: name }, name)));
  play.disabled ||= !found.length;
}

/**
 * The controls of a stream. Without the scope `control` they are there, but disabled. `changed` is called when a
 * request may have changed what the stream's description says. Returns their element, `show` for a new description,
 * and `disable` for when the stream is over.
 */
export function controls(id, changed, notice) {
  const path = `/v1/streams/${id}`;
  const result = new Outcome(notice);
  const disabled = !can("control");
  const off = { disabled };

  // Makes a request about the stream. `done` returns what there is to tell of its answer.
  const act = (done, method, at, body) =>
    result.run(async () => done(await request(method, `${path}${at}`, { body })));

  const interrupt = el("input", { type: "checkbox", ...off });
  const sound = (what) => {
    const how = interrupt.checked ? "Plays at once" : "Waits for its turn";
    const body = { play: what, interrupt: interrupt.checked };
    return act((answer) => `${how}: playback ${answer.id}`, "POST", "/play", body);
  };

  const prompts = el("select", off);
  const play = button("Play", () => sound(prompts.value), off);
  const text = el("input", { type: "text", maxlength: "2000", ...off });
  const say = button("Say", () => text.value.trim() && sound({ say: text.value }), off);
  text.addEventListener("keydown", (event) => event.key === "Enter" && say.click());
  const press = (key) => act(() => `Pressed ${key}`, "POST", "/digits", { digits: key });
  const settings = streamSettings({ act, changed, off });
  const hangUp = confirmation("End this call?", "Hang up", () => act(() => "Hung up", "DELETE", ""));
  const element = el(
    "div",
    { class: "controls" },
    disabled && el("p", { class: "dim" }, "The token lacks the scope control."),
    el("div", { class: "tools" }, labelled("Prompt", prompts), play),
    el("div", { class: "tools" }, labelled("Text", text), say),
    el(
      "div",
      { class: "tools" },
      el("label", { class: "check" }, interrupt, "interrupt what plays"),
      button("Stop all sound", () => act(() => "All sound is stopped", "DELETE", "/play"), off),
    ),
    keypad(press, off),
    ...settings.elements,
    el("div", { class: "tools" }, button("Hang up…", () => hangUp.showModal(), { class: "danger", ...off })),
    hangUp,
    result.element,
  );
  if (!disabled) Promise.all([fillPrompts(prompts, play), settings.fill()]).catch(notice);
  return {
    element,
    show: settings.show,
    disable: () => {
      hangUp.close();
      for (const each of element.querySelectorAll("button, input, select")) each.disabled = true;
    },
  };
}
