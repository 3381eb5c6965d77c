/** The microphone as PCM of 16 bits at 8 kHz. Browsers offer it to pages of HTTPS and of localhost only. */

const RATE = 8000;
const WORKLET = new URL("./microphone_worklet.js", import.meta.url);

export class Microphone {
  /** Begin to call `onpcm` with an ArrayBuffer for each 20 ms. Rejects where the user or the browser refuses. */
  static async open(onpcm) {
    if (!navigator.mediaDevices) throw new Error("This page may not use the microphone: open it by https or localhost.");
    const constraints = { audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true } };
    const stream = await navigator.mediaDevices.getUserMedia(constraints);
    const context = new AudioContext({ sampleRate: RATE });
    await context.audioWorklet.addModule(WORKLET);
    const node = new AudioWorkletNode(context, "microphone", { numberOfOutputs: 0 });
    node.port.onmessage = ({ data }) => onpcm(data);
    context.createMediaStreamSource(stream).connect(node);
    return new Microphone(stream, context);
  }

  constructor(stream, context) {
    this.stream = stream;
    this.context = context;
  }

  close() {
    this.stream.getTracks().forEach((track) => track.stop());
    this.context.close();
  }
}
