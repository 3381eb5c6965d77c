/** The table of all streams in progress, as the server sends it: all rows, and then what changes. */

import { ApiError, request } from "./api.js";
import { keepSocket } from "./socket.js";

const FULL = "The server does not let this page watch its streams: 16 requests that last are the most it takes.";

/** All streams in progress, watched while the tab is visible. `onchange` is called when a row or the total changes. */
export class Overview {
  constructor(onchange, notice) {
    Object.assign(this, { onchange, notice });
    this.byId = new Map();
    this.total = 0;
    this.columns = [];
    this.ahead = 0; // seconds by which the server's clock is ahead of the browser's
    this.unwatch = null;
    this.follow = () => this.watch(!document.hidden);
    document.addEventListener("visibilitychange", this.follow);
    this.follow();
  }

  /** How long a stream has lasted by now, in seconds. */
  durationOf({ began }) {
    return Math.max(0, performance.now() / 1000 + this.ahead - began);
  }

  watch(watching) {
    if (watching === (this.unwatch !== null)) return;
    this.unwatch?.();
    this.unwatch = watching
      ? keepSocket("/v1/overview", () => ({}), (message) => this.take(message), () => this.explain())
      : null;
  }

  take({ now, total, columns, rows, ended }) {
    if (columns) {
      this.columns = columns;
      this.byId.clear();
      this.notice(null);
    }
    this.ahead = now - performance.now() / 1000;
    this.total = total;
    for (const row of rows) {
      const stream = Object.fromEntries(this.columns.map((name, at) => [name, row[at]]));
      this.byId.set(stream.id, stream);
    }
    for (const id of ended) this.byId.delete(id);
    this.onchange();
  }

  /** Tell why the server sends nothing: a browser does not say why a WebSocket cannot be opened. */
  async explain() {
    try {
      await request("GET", "/v1/me");
      if (!this.columns.length) throw new ApiError(0, FULL);
    } catch (error) {
      if (this.unwatch) this.notice(error);
    }
  }

  close() {
    document.removeEventListener("visibilitychange", this.follow);
    this.watch(false);
  }
}
