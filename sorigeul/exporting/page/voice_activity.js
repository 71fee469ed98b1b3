// How probable speech is in each window of a recording, as of sorigeul/sound/voice_activity.py.

import { clip } from "./numbers.js";
import { floats } from "./onnx.js";

export const WINDOW = 512; // samples
const CONTEXT = 64; // samples of the window before that the detector hears again
const STATE = 128;
const AT_ONCE = 256; // windows

const TARGET_LEVEL = -20; // dB
const LEVEL_REACH = 16; // windows
const MAX_STEP_DOWN = 40; // dB
const LOWEST_LEVEL = -85; // dB
const MAX_RISE = 3; // dB a window
const FORGETTING = 0.02; // dB a window

// Samples (N,) at 16 kHz -> blocks of windows, { probabilities, levels }, in order
export async function* voiceActivity(samples, network) {
  const levels = windowLevels(samples);
  const gains = windowGains(levels);
  let context = new Float32Array(CONTEXT);
  let h = floats(new Float32Array(STATE), [1, 1, STATE]);
  let c = h;
  for (let first = 0; first < levels.length; first += AT_ONCE) {
    const count = Math.min(AT_ONCE, levels.length - first);
    const input = new Float32Array(count * (CONTEXT + WINDOW));
    for (let row = 0; row < count; row++) {
      const place = row * (CONTEXT + WINDOW);
      const window = amplified(samples, first + row, gains[first + row]);
      input.set(context, place);
      input.set(window, place + CONTEXT);
      context = window.subarray(WINDOW - CONTEXT);
    }
    const heard = await network.run({ input: floats(input, [count, CONTEXT + WINDOW]), h, c });
    [h, c] = [heard.hn, heard.cn];
    yield { probabilities: heard.speech_probs.data, levels: levels.subarray(first, first + count) };
  }
}

// Power in dB of each window, without its mean
function windowLevels(samples) {
  const levels = new Float32Array(Math.ceil(samples.length / WINDOW));
  for (let index = 0; index < levels.length; index++) {
    const window = samples.subarray(index * WINDOW, (index + 1) * WINDOW);
    let [mean, power] = [0, 0];
    for (const sample of window) {
      mean += sample / window.length;
      power += (sample * sample) / window.length;
    }
    levels[index] = 10 * Math.log10(Math.max(power - mean * mean, 1e-12));
  }
  return levels;
}

// The gain in dB that brings speech to one level
function windowGains(levels) {
  const gains = new Float32Array(levels.length);
  let [loudest, gain] = [LOWEST_LEVEL, Infinity];
  for (let index = 0; index < levels.length; index++) {
    const near = levels.subarray(Math.max(0, index - LEVEL_REACH), index + LEVEL_REACH + 1);
    const local = Math.max(...near);
    loudest = Math.max(loudest - FORGETTING, local);
    const floor = Math.max(loudest - MAX_STEP_DOWN, LOWEST_LEVEL);
    gain = Math.min(TARGET_LEVEL - Math.max(local, floor), gain + MAX_RISE);
    gains[index] = gain;
  }
  return gains;
}

// One window, levelled, without its mean
function amplified(samples, index, gain) {
  const window = new Float32Array(WINDOW);
  window.set(samples.subarray(index * WINDOW, (index + 1) * WINDOW));
  const mean = window.reduce((total, sample) => total + sample, 0) / WINDOW;
  const factor = 10 ** (gain / 20);
  return window.map((sample) => clip((sample - mean) * factor, -1, 1));
}
