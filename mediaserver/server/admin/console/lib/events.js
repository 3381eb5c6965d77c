/** Events of streams as they happen. */

import { keepSocket } from "./socket.js";

/**
 * Follow the events of a path of the API. `query` is its query, and `after` the sequence after which events are
 * wanted, null for new ones only. `onevent` gets each event, and `onlost` is called, if given, where the WebSocket
 * breaks or cannot be opened. Returns a function that ends it.
 */
export function followEvents(path, query, after, onevent, onlost) {
  function take(event) {
    if (event.type === "connected") {
      // `missed` is null where the server has been started anew: it counts from 1 again.
      after = event.missed === null ? 0 : event.sequence;
    } else if (event.type !== "dropped") {
      after = event.sequence;
      onevent(event);
    }
  }

  return keepSocket(path, () => (after === null ? query : { ...query, after }), take, onlost);
}
