/** A telephone's keypad with the fourth column of ITU-T Q.23, and its tones. */

import { button, el } from "./dom.js";

export const RATE = 8000;
export const FRAME = 160; // samples in 20 ms
const ROWS = [697, 770, 852, 941]; // Hz, of the low group (ITU-T Q.23)
const COLUMNS = [1209, 1336, 1477, 1633]; // Hz, of the high group
const KEYS = "123A456B789C*0#D"; // row by row
const LOW = 6000; // peak of a tone of 16 bits; a line attenuates high frequencies more, so the high group is louder
const HIGH = 7500;
const FRAMES = 5; // of the tone, and of the pause after it: 100 ms each

/** A keypad. `press` gets the key that was pressed; `attributes` are those of each button. */
export function keypad(press, attributes = {}) {
  const named = (key) => button(key, () => press(key), { "aria-label": `Key ${key}`, ...attributes });
  return el("div", { class: "keypad", role: "group", "aria-label": "Keypad" }, ...[...KEYS].map(named));
}

/** What a telephone sends while a key is pressed: ArrayBuffers of 20 ms of 16 bits, the tone and a pause. */
export function keyFrames(key) {
  const at = KEYS.indexOf(key);
  const step = (hz) => (2 * Math.PI * hz) / RATE;
  const low = step(ROWS[Math.floor(at / 4)]);
  const high = step(COLUMNS[at % 4]);
  const tone = Int16Array.from({ length: FRAMES * FRAME }, (_, n) =>
    Math.round(LOW * Math.sin(low * n) + HIGH * Math.sin(high * n)),
  );
  const samples = new Int16Array(2 * FRAMES * FRAME);
  samples.set(tone);
  return Array.from({ length: 2 * FRAMES }, (_, n) => samples.buffer.slice(2 * n * FRAME, 2 * (n + 1) * FRAME));
}
