// Runs beside the page, in the audio thread: what the microphone hears, as 16 bit mono at 24 kHz.
//
// The audio context keeps the device's own rate, since not every browser connects a microphone to a
// context of another one. Resampling: band-limited interpolation by a windowed sinc.

const RATE = 24000;
const CHUNK = 1200; // samples, 50 ms
const ZERO_CROSSINGS = 16; // of the sinc on each side

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    const divisor = greatestCommonDivisor(sampleRate, RATE);
    this.step = sampleRate / divisor; // from one sample to the next, in input samples / phases
    this.phases = RATE / divisor;
    this.cutoff = 0.95 * Math.min(1, RATE / sampleRate);
    this.reach = Math.ceil(ZERO_CROSSINGS / this.cutoff);
    this.filters = new Map(); // by phase
    this.input = new Float32Array(this.reach); // silence before the first sample
    this.position = this.reach * this.phases; // of the next output sample, in input samples / phases
    this.chunk = new Int16Array(CHUNK);
    this.filled = 0;
    this.stopped = false;
    this.port.onmessage = () => this.finish();
  }

  process([channels]) {
    if (this.stopped) return false;
    if (channels.length) this.hear(mean(channels));
    return true;
  }

  hear(samples) {
    const joined = new Float32Array(this.input.length + samples.length);
    joined.set(this.input);
    joined.set(samples, this.input.length);
    while (Math.floor(this.position / this.phases) + this.reach < joined.length) {
      this.write(this.interpolated(joined));
      this.position += this.step;
    }
    const needless = Math.floor(this.position / this.phases) - this.reach;
    this.input = joined.subarray(needless).slice();
    this.position -= needless * this.phases;
  }

  interpolated(input) {
    const phase = this.position % this.phases;
    const first = (this.position - phase) / this.phases - this.reach;
    if (!this.filters.has(phase)) this.filters.set(phase, this.filter(phase / this.phases));
    const filter = this.filters.get(phase);
    let sum = 0;
    for (let tap = 0; tap < filter.length; tap++) sum += filter[tap] * input[first + tap];
    return sum;
  }

  // The taps for a sample that lies `fraction` after an input sample
  filter(fraction) {
    const taps = Float32Array.from({ length: 2 * this.reach + 1 }, (_, tap) => {
      const distance = tap - this.reach - fraction;
      const window = Math.cos((Math.PI / 2) * Math.min(1, Math.abs(distance) / (this.reach + 1))) ** 2;
      return window * sinc(this.cutoff * distance);
    });
    const sum = taps.reduce((total, tap) => total + tap, 0);
    return taps.map((tap) => tap / sum);
  }

  write(sample) {
    this.chunk[this.filled++] = Math.round(32767 * Math.max(-1, Math.min(1, sample)));
    if (this.filled === CHUNK) this.send();
  }

  send() {
    this.port.postMessage(this.chunk.slice(0, this.filled));
    this.filled = 0;
  }

  finish() {
    this.hear(new Float32Array(this.reach)); // so that the last samples come out
    this.stopped = true;
    this.send();
    this.port.postMessage(null);
  }
}

function greatestCommonDivisor(one, other) {
  return other ? greatestCommonDivisor(other, one % other) : one;
}

function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

function mean(channels) {
  if (channels.length === 1) return channels[0];
  return channels[0].map((_, n) => channels.reduce((sum, channel) => sum + channel[n], 0) / channels.length);
}

registerProcessor("capture", Capture);
