/** What a caller sends: the microphone, the tones of keys in its place, and silence where there is neither. */

import { FRAME, keyFrames } from "./keypad.js";
import { Microphone } from "./microphone.js";

const PTIME = 20; // ms
const MOST = 50; // frames of silence at once, as a hidden tab is woken but once a second
const SILENCE = new ArrayBuffer(2 * FRAME);

export class Caller {
  /** `send` gets an ArrayBuffer of PCM for each 20 ms, 16 bits at 8 kHz. `microphone` is null to be silent. */
  constructor(send) {
    this.send = send;
    this.keys = []; // frames of keys that were pressed
    this.microphone = null;
    this.timer = 0;
  }

  /** Begin to send, by the microphone's clock if there is one. Rejects where it is refused, and sends nothing. */
  async start(withMicrophone) {
    if (withMicrophone) {
      this.microphone = await Microphone.open((pcm) => this.next(pcm));
      return;
    }
    let due = performance.now();
    this.timer = setInterval(() => {
      due = Math.max(due, performance.now() - MOST * PTIME);
      for (; due <= performance.now(); due += PTIME) this.next(SILENCE);
    }, PTIME);
  }

  next(pcm) {
    this.send(this.keys.shift() ?? pcm);
  }

  press(key) {
    this.keys.push(...keyFrames(key));
  }

  close() {
    clearInterval(this.timer);
    this.microphone?.close();
  }
}
