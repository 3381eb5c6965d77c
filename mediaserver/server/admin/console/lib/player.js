/**
 * Plays PCM as it comes: 16 bits, 8 kHz, the channels interleaved.
 *
 * An `<audio>` element would do with ten times the bytes, as Chromium waits for 230 kB of a WAV file without end.
 */

const RATE = 8000;
const DELAY = 0.12; // seconds for which sound waits, so that it goes on while the network is late
const MOST = 0.6; // seconds that sound may wait; beyond that the page is behind the call, and catches up

export class PcmPlayer {
  constructor(channels) {
    this.channels = channels;
    this.context = new AudioContext({ sampleRate: RATE });
    this.next = 0; // the time of the context at which the sound so far ends
    this.seconds = 0; // of sound, so far
    this.finishing = false;
  }

  /** Play an ArrayBuffer of samples after all that came before. */
  push(buffer) {
    const samples = new Int16Array(buffer);
    const frames = Math.floor(samples.length / this.channels);
    if (!frames) return;
    const sound = this.context.createBuffer(this.channels, frames, RATE);
    for (let channel = 0; channel < this.channels; channel += 1) {
      const data = sound.getChannelData(channel);
      for (let n = 0; n < frames; n += 1) data[n] = samples[n * this.channels + channel] / 32768;
    }
    const now = this.context.currentTime;
    if (this.next < now || this.next > now + MOST) this.next = now + DELAY;
    const source = this.context.createBufferSource();
    source.buffer = sound;
    source.connect(this.context.destination);
    source.start(this.next);
    this.next += frames / RATE;
    this.seconds += frames / RATE;
  }

  /** Play what waits, and then close. */
  finish() {
    this.finishing = true;
    setTimeout(() => this.context.close(), 1000 * Math.max(0, this.next - this.context.currentTime));
  }

  /** Play no more, unless `finish` was called. */
  close() {
    if (!this.finishing) this.context.close();
  }
}
