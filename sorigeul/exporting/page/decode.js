// A file to samples at 16 kHz, one channel, full scale 1.

import { SAMPLE_RATE } from "./numbers.js";

const LEAST_PEAK_TO_PEAK = 2 ** -16; // half a step of 16-bit audio
const UNKNOWN_LENGTH = 0x7ffff000; // bytes and above: written to a pipe

// Why a file gives no text: `reason` is a name in texts.js, such as unreadable
export class Refusal extends Error {
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

export async function samplesOf(file) {
  const bytes = await file.arrayBuffer().catch(() => null); // a folder, or a file that has gone
  if (!bytes) throw new Refusal("unreadable");
  const samples = plainWav(bytes) ?? (await decodedByBrowser(bytes));
  let [lowest, highest] = [Infinity, -Infinity];
  for (const sample of samples) {
    if (sample < lowest) lowest = sample;
    if (sample > highest) highest = sample;
  }
  if (!(highest - lowest >= LEAST_PEAK_TO_PEAK)) throw new Refusal("silent");
  return samples;
}

// The samples of a wav of 16 bits at 16 kHz with one channel, just as they are; null for others
function plainWav(bytes) {
  const view = new DataView(bytes);
  const tag = (place) => String.fromCharCode(...new Uint8Array(bytes, place, 4));
  if (bytes.byteLength < 12 || tag(0) !== "RIFF" || tag(8) !== "WAVE") return null;
  for (let place = 12; place + 8 <= bytes.byteLength; ) {
    const [name, size, content] = [tag(place), view.getUint32(place + 4, true), place + 8];
    if (name === "fmt ") {
      if (content + 16 > bytes.byteLength) throw new Refusal("short");
      const [format, channels] = [view.getUint16(content, true), view.getUint16(content + 2, true)];
      const [rate, bits] = [view.getUint32(content + 4, true), view.getUint16(content + 14, true)];
      if (format !== 1 || channels !== 1 || rate !== SAMPLE_RATE || bits !== 16) return null;
    }
    if (name === "data") {
      const there = bytes.byteLength - content;
      if (size > there && size < UNKNOWN_LENGTH) throw new Refusal("short");
      const count = Math.floor(Math.min(size, there) / 2);
      const samples = new Float32Array(count);
      for (let n = 0; n < count; n++) samples[n] = view.getInt16(content + 2 * n, true) / 32768;
      return samples;
    }
    place = content + size + (size % 2);
  }
  return null;
}

async function decodedByBrowser(bytes) {
  let buffer;
  try {
    buffer = await new OfflineAudioContext(1, 1, SAMPLE_RATE).decodeAudioData(bytes);
  } catch {
    throw new Refusal("unreadable");
  }
  const mean = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    buffer.getChannelData(channel).forEach((sample, n) => (mean[n] += sample / buffer.numberOfChannels));
  }
  return mean;
}
