/** The waveform of a prompt on a canvas. */

import { el } from "../lib/dom.js";

const HEIGHT = 120; // CSS pixels

/** A canvas that draws itself anew where its size or the colours of the page change. */
export class Waveform {
  constructor() {
    this.canvas = el("canvas", { class: "waveform", role: "img", "aria-label": "Waveform" });
    this.parts = [];
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.canvas);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.onscheme = () => this.draw();
    this.scheme.addEventListener("change", this.onscheme);
  }

  /** Show the lowest and the highest value of each part, in percent of full scale. */
  show(parts, label) {
    this.parts = parts;
    this.canvas.setAttribute("aria-label", label);
    this.draw();
  }

  draw() {
    const width = this.canvas.clientWidth;
    if (!width) return;
    const ratio = devicePixelRatio;
    const [wide, high] = [Math.round(width * ratio), Math.round(HEIGHT * ratio)];
    if (this.canvas.width !== wide) Object.assign(this.canvas, { width: wide, height: high });
    const context = this.canvas.getContext("2d");
    const style = getComputedStyle(this.canvas);
    context.clearRect(0, 0, wide, high);
    context.fillStyle = style.getPropertyValue("--line");
    context.fillRect(0, high / 2, wide, ratio);
    context.fillStyle = style.getPropertyValue("--accent");
    const step = wide / this.parts.length;
    this.parts.forEach(([low, top], at) => {
      const [above, below] = [(high * (100 - top)) / 200, (high * (100 - low)) / 200];
      context.fillRect(at * step, above, Math.max(step, 1), Math.max(below - above, ratio));
    });
  }

  close() {
    this.resized.disconnect();
    this.scheme.removeEventListener("change", this.onscheme);
  }
}
