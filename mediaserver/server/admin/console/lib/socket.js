/** WebSockets that are opened again where they break. */

import { closeSocket, openSocket } from "./api.js";

const SLOWEST = 10; // seconds between two attempts

/**
 * Keep a WebSocket open to a path of the API, with the query that `queryOf` returns each time. `onmessage` gets what
 * comes as JSON, and `onlost` is called, if given, where the WebSocket breaks or cannot be opened. Returns a function
 * that ends it.
 */
export function keepSocket(path, queryOf, onmessage, onlost = () => {}) {
  let socket = null;
  let ended = false;
  let wait = 1;
  let timer = 0;

  function take({ data }) {
    wait = 1;
    onmessage(JSON.parse(data));
  }

  function again() {
    if (ended) return;
    timer = setTimeout(open, wait * 1000);
    wait = Math.min(SLOWEST, 2 * wait);
    onlost();
  }

  async function open() {
    try {
      socket = await openSocket(path, queryOf());
    } catch {
      again();
      return;
    }
    if (ended) {
      closeSocket(socket);
      return;
    }
    socket.addEventListener("message", take);
    socket.addEventListener("close", again);
  }

  open();
  return () => {
    ended = true;
    clearTimeout(timer);
    socket?.removeEventListener("message", take);
    closeSocket(socket);
  };
}
