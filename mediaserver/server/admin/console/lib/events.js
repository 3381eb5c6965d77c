/** Events of streams as they happen, by a WebSocket that is opened again where it breaks. */

import { closeSocket, openSocket } from "./api.js";

const SLOWEST = 10; // seconds between two attempts

/**
 * Follow the events of a path of the API. `query` is its query, and `after` the sequence after which events are
 * wanted, null for new ones only. `onevent` gets each event. Returns a function that ends it.
 */
export function followEvents(path, query, after, onevent) {
  let socket = null;
  let ended = false;
  let wait = 1;
  let timer = 0;

  function onmessage({ data }) {
    const event = JSON.parse(data);
    wait = 1;
    if (event.type === "connected") {
      // `missed` is null where the server has been started anew: it counts from 1 again.
      after = event.missed === null ? 0 : event.sequence;
    } else if (event.type !== "dropped") {
      after = event.sequence;
      onevent(event);
    }
  }

  function again() {
    if (ended) return;
    timer = setTimeout(open, wait * 1000);
    wait = Math.min(SLOWEST, 2 * wait);
  }

  async function open() {
    try {
      socket = await openSocket(path, after === null ? query : { ...query, after });
    } catch {
      again(); // the server is down, which the page notices by itself
      return;
    }
    if (ended) {
      closeSocket(socket);
      return;
    }
    socket.addEventListener("message", onmessage);
    socket.addEventListener("close", again);
  }

  open();
  return () => {
    ended = true;
    clearTimeout(timer);
    socket?.removeEventListener("message", onmessage);
    closeSocket(socket);
  };
}
