// Where in a recording somebody speaks, cut at pauses, as of sorigeul/sound/segments.py.

import { SAMPLE_RATE, argmax, percentile, roundHalfToEven } from "./numbers.js";
import { WINDOW } from "./voice_activity.js";

const LESS_TO_CONTINUE = 0.15;
const MIN_SPEECH = 4; // windows
const PADDING = 0.2 * SAMPLE_RATE; // samples kept after speech
const SMOOTHING = 5; // windows
const PAUSE_DEPTH = 18; // dB
export const OVERLAP = 1; // seconds
const OVERLAP_WINDOWS = Math.floor((OVERLAP * SAMPLE_RATE) / WINDOW);

// A segment: { samples, start, end, overlapBefore, overlapAfter }, all in samples
export class Segmenter {
  // `limits`: the fields of SegmentLimits
  constructor(samples, limits) {
    Object.assign(this, { samples, open: null, lastEnd: 0, overlap: 0, windows: 0 });
    const windows = (seconds) => roundHalfToEven((seconds * SAMPLE_RATE) / WINDOW);
    this.threshold = limits.threshold;
    this.padding = roundHalfToEven(limits.padding * SAMPLE_RATE);
    this.mostWindows = windows(limits.max_seconds);
    this.longestPause = windows(limits.max_pause);
  }

  // The next windows -> the segments that have ended
  *advance(probabilities, levels) {
    for (let index = 0; index < levels.length; index++) {
      if (!this.open && probabilities[index] >= this.threshold) this.begin();
      this.windows++;
      if (!this.open) continue;
      this.open.append(probabilities[index], levels[index]);
      if (this.open.pause > this.longestPause) yield* this.close();
      else if (this.open.levels.length >= this.mostWindows - Math.floor(this.overlap / WINDOW)) yield* this.cut();
    }
  }

  // The last segment, which ends with the recording
  *finish() {
    if (this.open) yield* this.close();
  }

  begin() {
    this.open = new OpenSegment(this.windows, this.threshold);
  }

  *close() {
    const segment = this.open;
    this.open = null;
    // What goes on after a cut is speech, however short it is.
    if (segment.speechWindows >= MIN_SPEECH || this.overlap > 0) {
      const end = (segment.first + segment.length) * WINDOW + PADDING;
      yield this.made(segment, Math.min(end, this.samples.length), 0);
    }
    this.overlap = 0;
  }

  // End the open segment at its quietest place; what follows is the next one
  *cut() {
    const segment = this.open;
    const { place, isPause } = segment.quietestPlace();
    const end = (segment.first + place) * WINDOW;
    const overlap = isPause ? 0 : OVERLAP * SAMPLE_RATE;
    yield this.made(segment, end, overlap);
    [this.open, this.overlap, this.windows] = [null, Math.min(overlap, end), segment.first + place];
    if (overlap) this.begin(); // it goes on in the middle of speech
    yield* this.advance(segment.probabilities.slice(place), segment.levels.slice(place));
  }

  made(segment, end, overlapAfter) {
    const begins = segment.first * WINDOW;
    const overlapBefore = this.overlap;
    const start = overlapBefore ? begins : Math.max(begins - this.padding, this.lastEnd, 0);
    this.lastEnd = end;
    const samples = this.samples.subarray(start - overlapBefore, end + overlapAfter);
    return { samples, start, end, overlapBefore, overlapAfter };
  }
}

// A segment whose end has not been heard yet, by its windows
class OpenSegment {
  constructor(first, threshold) {
    Object.assign(this, { first, threshold, probabilities: [], levels: [], length: 0, speechWindows: 0 });
    this.speaking = true;
  }

  get pause() {
    return this.levels.length - this.length;
  }

  append(probability, level) {
    this.probabilities.push(probability);
    this.levels.push(level);
    this.speaking = probability >= this.threshold - (this.speaking ? LESS_TO_CONTINUE : 0);
    if (!this.speaking) return;
    this.length = this.levels.length;
    if (probability >= this.threshold) this.speechWindows++;
  }

  quietestPlace() {
    const levels = smoothed(this.levels);
    const probabilities = smoothed(this.probabilities);
    const first = Math.floor(levels.length / 4);
    const last = Math.max(levels.length - OVERLAP_WINDOWS, first + 1);
    const loud = percentile(levels, 90);
    const scores = levels.map((level, n) => loud - level + 2 * PAUSE_DEPTH * (1 - probabilities[n]));
    const place = first + argmax(scores.slice(first, last));
    const isPause = probabilities[place] < this.threshold - LESS_TO_CONTINUE || loud - levels[place] > PAUSE_DEPTH;
    return { place, isPause };
  }
}

// The mean of each value and its neighbours, which are zero beyond the ends
function smoothed(values) {
  const reach = (SMOOTHING - 1) / 2;
  return values.map((_, place) => {
    let total = 0;
    for (let n = Math.max(place - reach, 0); n <= place + reach && n < values.length; n++) total += values[n];
    return total / SMOOTHING;
  });
}
