/** The part of a stream's page by which one hears the call, and talks on it. */

import { can, closeSocket, has, openSocket } from "../lib/api.js";
import { button, el, labelled, setText } from "../lib/dom.js";
import { duration } from "../lib/format.js";
import { Microphone } from "../lib/microphone.js";
import { PcmPlayer } from "../lib/player.js";

const AUDIO = "/v1/streams/{id}/audio";
const ROLES = { listen: "only listen", whisper: "talk over what plays", barge: "talk in its place" };

/** The panel, and what ends its listening; null where the server cannot be listened to. `notice` tells mistakes. */
export function listenPanel(id, notice) {
  if (!has(AUDIO)) return null;
  const state = el("span", { class: "heard" }, "");
  const side = el(
    "select",
    {},
    el("option", { value: "both" }, "both sides"),
    el("option", { value: "caller" }, "the caller"),
    el("option", { value: "us" }, "us"),
  );
  const roles = Object.entries(ROLES).filter(([role]) => role === "listen" || can("control"));
  const role = el("select", {}, ...roles.map(([value, text]) => el("option", { value }, text)));
  let heard = null; // the socket, the player and the microphone, while somebody listens

  function stop() {
    if (!heard) return;
    const { socket, player, microphone } = heard;
    heard = null;
    closeSocket(socket);
    player.close();
    microphone?.close();
    setText(listen, "Listen");
    setText(state, "");
  }

  async function start() {
    const socket = await openSocket(`/v1/streams/${id}/audio`, { side: side.value, role: role.value });
    const player = new PcmPlayer(side.value === "both" ? 2 : 1);
    heard = { socket, player, microphone: null };
    setText(listen, "Stop listening");
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => {
      if (heard?.socket !== socket) return;
      player.push(data);
      setText(state, `heard: ${duration(Math.floor(player.seconds))}`);
    });
    socket.addEventListener("close", () => heard?.socket === socket && stop());
    if (role.value === "listen") return;
    const microphone = await Microphone.open((pcm) => socket.readyState === WebSocket.OPEN && socket.send(pcm));
    if (heard?.socket === socket) heard.microphone = microphone;
    else microphone.close();
  }

  const listen = button(
    "Listen",
    async () => {
      if (heard) {
        stop();
        return;
      }
      try {
        await start();
      } catch (error) {
        stop();
        notice(error);
      }
    },
    { disabled: !can("listen") },
  );
  [side, role].forEach((each) => each.addEventListener("change", stop));
  const element = el("div", { class: "tools" }, labelled("Side", side), labelled("Role", role), listen, state);
  return { element, stop };
}
