/** The part of the page Paths by which one calls a path, as a caller does. */

import { can, closeSocket, has, openSocket } from "../lib/api.js";
import { Caller } from "../lib/caller.js";
import { button, el, labelled, setText } from "../lib/dom.js";
import { followEvents } from "../lib/events.js";
import { duration } from "../lib/format.js";
import { keypad } from "../lib/keypad.js";
import { LevelFeed, Meter } from "../lib/levels.js";
import { PcmPlayer } from "../lib/player.js";
import { Timeline } from "./timeline.js";

const CALL = "/v1/paths/call";
const REFUSED = 4000; // the server closes a refused call with this number and the HTTP status
const LOST = 1006; // the connection broke, or was never made
const LAST_EVENTS = 2000; // ms after a call in which its last events come
const VARIABLE = /\{(\w+)(?::(?:[^{}]|\{[^{}]*\})+)?\}/g; // `{name}`, or `{name:expression}`

/** Whether this server lets the user call paths. */
export function canCall() {
  return has(CALL) && can("control");
}

/** Why a call is over, in one line, and whether that is a fault. */
function ending(code, reason, seconds) {
  const why = reason ? `: ${reason}` : "";
  if (code > REFUSED) return { text: `Refused with ${code - REFUSED}${why}`, wrong: true };
  if (code === LOST && !seconds) return { text: "The server did not take the call.", wrong: true };
  if (code === LOST) return { text: `The connection broke after ${duration(seconds)}.`, wrong: true };
  return { text: `Over after ${duration(seconds)}: closed with ${code}${why}`, wrong: code !== 1000 && code !== 1005 };
}

/** The fields of a path's variables and of its query, and the URL's path that they make. */
function destination(pattern) {
  const fields = new Map();
  for (const [, name] of pattern.matchAll(VARIABLE)) {
    fields.set(name, el("input", { type: "text", required: true, autocomplete: "off", spellcheck: "false" }));
  }
  const query = el("input", { type: "text", placeholder: "customer=7", autocomplete: "off", spellcheck: "false" });
  const value = (name) => fields.get(name).value.split("/").map(encodeURIComponent).join("/");
  return {
    inputs: [...[...fields].map(([name, field]) => labelled(name, field)), labelled("Query", query)],
    path: () => pattern.replace(VARIABLE, (_, name) => value(name)) + (query.value ? `?${query.value}` : ""),
  };
}

/** The panel, `choose` for a path to be called, and what ends its call. `notice` tells mistakes. */
export function callPanel(notice) {
  const title = el("h2", { tabindex: "-1" });
  const places = el("span", { class: "places" });
  const voice = el("input", { type: "checkbox", checked: true });
  const dial = el("button", { type: "submit" }, "Call");
  const state = el("p", { class: "called", role: "status" });
  const wrong = el("p", { class: "wrong", role: "alert" });
  const meters = { caller: new Meter("Level of you"), us: new Meter("Level of the path") };
  const sides = [
    ["You", meters.caller],
    ["The path", meters.us],
  ].flatMap(([name, meter]) => [el("span", { "aria-hidden": "true" }, name), meter.element]);
  const happened = el("div", {});
  let chosen = null;
  let current = null; // the call: what has to be closed at its end, and when it began
  let unfollow = () => {}; // ends the events of the latest call

  function end(text, isWrong) {
    const call = current;
    current = null;
    setTimeout(unfollow, LAST_EVENTS);
    closeSocket(call.socket);
    call.parts.forEach((part) => part.close());
    Object.values(meters).forEach((meter) => meter.show(null));
    setText(dial, "Call");
    setText(isWrong ? wrong : state, text);
    setText(isWrong ? state : wrong, "");
    for (const key of keys.children) key.disabled = true;
  }

  const secondsOf = (call) => (call.began === null ? 0 : (performance.now() - call.began) / 1000);

  const hangUp = () => current && end(`Hung up after ${duration(secondsOf(current))}`, false);

  /** End the call, and what the page has of it. */
  function close() {
    hangUp();
    unfollow();
  }

  /** The server has taken the call: show what it does, from now on. */
  function begin(call, stream) {
    call.began = performance.now();
    const timeline = new Timeline();
    happened.replaceChildren(timeline.element);
    const stop = followEvents(`/v1/streams/${stream}/events`, {}, 0, (event) => {
      timeline.add(event);
      if (event.type === "stream.ended") stop();
    });
    unfollow = stop;
    const feed = new LevelFeed((levels) => {
      meters.caller.show(levels[stream]?.caller);
      meters.us.show(levels[stream]?.us);
    });
    feed.measure([stream]);
    const clock = setInterval(() => setText(state, `In the call for ${duration(secondsOf(call))}`), 250);
    call.parts.push(feed, { close: () => clearInterval(clock) });
    for (const key of keys.children) key.disabled = false;
  }

  async function start() {
    const call = { socket: null, caller: null, parts: [], began: null };
    current = call;
    setText(dial, "Hang up");
    setText(state, "Calls…");
    setText(wrong, "");
    const send = (pcm) => call.began !== null && call.socket.readyState === WebSocket.OPEN && call.socket.send(pcm);
    call.caller = new Caller(send);
    call.parts.push(call.caller);
    try {
      await call.caller.start(voice.checked);
    } catch (error) {
      if (current === call) setText(wrong, `You can listen and press keys only. The microphone: ${error.message}`);
      await call.caller.start(false);
    }
    if (current !== call) {
      call.caller.close(); // hung up while the browser asked for the microphone
      return;
    }
    const socket = await openSocket(CALL, { path: chosen.path() });
    if (current !== call) {
      closeSocket(socket);
      return;
    }
    call.socket = socket;
    const player = new PcmPlayer(1);
    call.parts.push(player);
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => {
      if (current !== call) return;
      if (typeof data === "string") begin(call, JSON.parse(data).stream);
      else player.push(data);
    });
    socket.addEventListener("close", ({ code, reason }) => {
      if (current !== call) return;
      player.finish();
      const { text, wrong: isWrong } = ending(code, reason, secondsOf(call));
      end(text, isWrong);
    });
  }

  async function onsubmit(event) {
    event.preventDefault();
    if (current) {
      hangUp();
      return;
    }
    try {
      await start();
    } catch (error) {
      if (current) end("", false);
      notice(error);
    }
  }

  const keys = keypad((key) => current?.caller.press(key), { disabled: true });
  const microphone = el("label", { class: "check" }, voice, "with the microphone");
  const element = el(
    "section",
    { class: "call", "aria-label": "Call", hidden: true },
    title,
    el("form", { class: "tools", onsubmit }, places, microphone, dial),
    state,
    wrong,
    el("div", { class: "columns" }, el("div", {}, el("div", { class: "sides" }, ...sides), keys), happened),
  );

  /** Offer to call the path with this pattern. A call that is in progress is hung up. */
  function choose(pattern) {
    close();
    chosen = destination(pattern);
    title.replaceChildren("Call ", el("code", {}, pattern));
    places.replaceChildren(...chosen.inputs);
    happened.replaceChildren();
    [state, wrong].forEach((line) => setText(line, ""));
    element.hidden = false;
    title.focus();
    element.scrollIntoView({ block: "nearest" });
  }

  return { element, choose, close };
}
