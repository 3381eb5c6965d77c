/** Work that is done again and again, but only while somebody looks. */

const MOST_OF_THE_TIME = 4; // what takes long is done less often, so that it is at most a fifth of the time

/**
 * Do `work` now and every `seconds`, while the tab is visible. `work` may return a promise, and the next turn waits
 * for it. `onerror` gets what it throws, and null when it goes well. Returns a function that stops it.
 */
export function poll(work, seconds, onerror) {
  let timer = 0;
  let busy = false;
  let stopped = false;

  async function turn() {
    clearTimeout(timer);
    if (busy || stopped || document.hidden) return;
    busy = true;
    const began = performance.now();
    try {
      await work();
      if (!stopped) onerror(null);
    } catch (error) {
      if (!stopped) onerror(error);
    }
    busy = false;
    if (stopped) return;
    timer = setTimeout(turn, Math.max(seconds * 1000, MOST_OF_THE_TIME * (performance.now() - began)));
  }

  document.addEventListener("visibilitychange", turn);
  turn();
  return () => {
    stopped = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", turn);
  };
}
