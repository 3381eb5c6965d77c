/** What can be done with a stream: play, say, press keys, pause recordings, hang up. */

import { ApiError, can, request, requestAll } from "../lib/api.js";
import { button, el, labelled, setText } from "../lib/dom.js";
import { keypad } from "../lib/keypad.js";

/** A question that must be answered before something is done that cannot be undone. */
function confirmation(question, yes, onyes) {
  const close = () => dialog.close();
  const sure = () => {
    close();
    onyes();
  };
  const answers = [button("Cancel", close), button(yes, sure, { class: "danger" })];
  const row = el("div", { class: "tools" }, ...answers);
  const dialog = el("dialog", { "aria-label": question }, el("p", {}, question), row);
  return dialog;
}

/** The names of all prompts, into a list from which one is chosen. */
async function fillPrompts(select, play) {
  const { found } = await requestAll("/v1/prompts", "prompts", { limit: 1000 });
  select.replaceChildren(...found.map(({ name }) => el("option", { value: name }, name)));
  play.disabled ||= !found.length;
}

/**
 * The controls of a stream. Without the scope `control` they are there, but disabled. Returns their element, and
 * `disable` for when the stream is over.
 */
export function controls(id, notice) {
  const path = `/v1/streams/${id}`;
  const result = el("p", { class: "result", role: "status" });
  const disabled = !can("control");
  const off = { disabled };

  async function act(done, method, at, body) {
    try {
      const answer = await request(method, at, { body });
      result.classList.remove("wrong");
      setText(result, answer?.id ? `${done}: playback ${answer.id}` : done);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status === 401) notice(error);
      result.classList.add("wrong");
      setText(result, error.message);
    }
  }

  const interrupt = el("input", { type: "checkbox", ...off });
  const sound = (what) => act(interrupt.checked ? "Plays at once" : "Waits for its turn", "POST", `${path}/play`, {
    play: what,
    interrupt: interrupt.checked,
  });

  const prompts = el("select", off);
  const play = button("Play", () => sound(prompts.value), off);
  const text = el("input", { type: "text", maxlength: "2000", ...off });
  const say = button("Say", () => text.value.trim() && sound({ say: text.value }), off);
  text.addEventListener("keydown", (event) => event.key === "Enter" && say.click());
  const press = (key) => act(`Pressed ${key}`, "POST", `${path}/digits`, { digits: key });
  const recording = (paused) =>
    act(paused ? "Recordings are paused" : "Recordings go on", "PUT", `${path}/recording`, { paused });
  const hangUp = confirmation("End this call?", "Hang up", () => act("Hung up", "DELETE", path));
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
      button("Stop all sound", () => act("All sound is stopped", "DELETE", `${path}/play`), off),
    ),
    keypad(press, off),
    el(
      "div",
      { class: "tools" },
      button("Pause recording", () => recording(true), off),
      button("Resume recording", () => recording(false), off),
    ),
    el("div", { class: "tools" }, button("Hang up…", () => hangUp.showModal(), { class: "danger", ...off })),
    hangUp,
    result,
  );
  if (!disabled) fillPrompts(prompts, play).catch(notice);
  return {
    element,
    disable: () => {
      hangUp.close();
      for (const each of element.querySelectorAll("button, input, select")) each.disabled = true;
    },
  };
}
