// Where words begin and end, as of sorigeul/recognition/word_times.py. The seam between segments
// that share a second is looked for by these times.

import { SAMPLE_RATE, clip, percentile } from "./numbers.js";

const HOP = 160; // samples
const SPEECH_RANGE = 30; // dB
const ABOVE_FLOOR = 4; // dB
const BELOW_PEAK = 10; // dB
const MIN_PAUSE = 10; // hops
const LATENESS = 0.02; // seconds
const REACH = 0.5; // seconds
const CORE = 0.1; // share of a word

const isSpace = (unit) => unit.trim() === "";

// First character of each word, and one after its last
export function wordRanges(units) {
  const ranges = [];
  units.forEach((unit, place) => {
    if (isSpace(unit)) return;
    if (place && !isSpace(units[place - 1])) ranges.at(-1)[1] = place + 1;
    else ranges.push([place, place + 1]);
  });
  return ranges;
}

// Spans of characters in seconds, widened to the sound they stand for
export function settleBoundaries(spans, units, samples) {
  const words = wordRanges(units);
  const seconds = samples.length / SAMPLE_RATE;
  if (!words.length) return spans.map((span) => span.map((time) => clip(time, 0, seconds)));
  const settled = spans.map((span) => [...span]);
  wordSpans(spans, words, samples).forEach(([start, stop], number) => {
    const [first, end] = words[number];
    settled[first][0] = start;
    for (let n = first; n < end - 1; n++) {
      settled[n][1] = settled[n + 1][0] = clip((spans[n][1] + spans[n + 1][0]) / 2, start, stop);
    }
    settled[end - 1][1] = stop;
  });
  let before = 0;
  units.forEach((unit, n) => {
    if (isSpace(unit)) settled[n][0] = before;
    else before = Math.max(before, settled[n][1]);
  });
  let after = seconds;
  for (let n = units.length - 1; n >= 0; n--) {
    if (isSpace(units[n])) settled[n][1] = after;
    else after = Math.min(after, settled[n][0]);
  }
  return settled;
}

// Start and end of each word
function wordSpans(spans, words, samples) {
  const seconds = samples.length / SAMPLE_RATE;
  const runs = quietRuns(samples);
  const starts = words.map(([first]) => spans[first][0]);
  const ends = words.map(([, end]) => spans[end - 1][1]);
  const lasts = words.map(([, end]) => spans[end - 1][0]);
  const firsts = words.map(([first]) => spans[first][1]);
  const centres = words.map((_, n) => (starts[n] + ends[n]) / 2);
  const margins = words.map((_, n) => CORE * (ends[n] - starts[n]));
  // There is a gap before each word, and one after the last.
  const gaps = [...words, null].map((_, gap) => {
    const opens = ends[gap - 1] ?? 0;
    const closes = starts[gap] ?? seconds;
    let middle = (opens + closes) / 2 - LATENESS;
    if (gap === words.length) middle = ends[gap - 1];
    else if (gap === 0) middle = starts[0] - LATENESS;
    const earliest = gap ? centres[gap - 1] + margins[gap - 1] : 0;
    const latest = gap < words.length ? centres[gap] - margins[gap] : seconds;
    const edges = longestPause(runs, lasts[gap - 1] ?? 0, firsts[gap] ?? seconds) ?? [middle, middle];
    const [from, to] = edges.map((edge) => clip(edge, earliest, latest));
    return { opens: Math.min(from, opens + REACH), closes: Math.max(to, closes - REACH) };
  });
  return words.map((_, n) => [gaps[n].closes, gaps[n + 1].opens]);
}

// Stretches without loud hops, in seconds
function quietRuns(samples) {
  const hops = Math.max(Math.ceil(samples.length / HOP), 1);
  const levels = Array.from({ length: hops }, (_, hop) => {
    let power = 0;
    for (const sample of samples.subarray(hop * HOP, (hop + 1) * HOP)) power += (sample * sample) / HOP;
    return 10 * Math.log10(power + 1e-10);
  });
  const [peak, floor] = [percentile(levels, 95), percentile(levels, 5)];
  const loudest = Math.max(peak - SPEECH_RANGE, Math.min(floor + ABOVE_FLOOR, peak - BELOW_PEAK));
  const runs = [];
  let first = 0;
  [...levels, Infinity].forEach((level, hop) => {
    if (level <= loudest) return;
    if (hop - first >= MIN_PAUSE) runs.push([(first * HOP) / SAMPLE_RATE, (hop * HOP) / SAMPLE_RATE]);
    first = hop + 1;
  });
  return runs;
}

// The longest run that touches a time, the first of several
function longestPause(runs, from, to) {
  const touching = runs.filter(([start, end]) => start < to && end > from);
  return touching.reduce((best, run) => (best && best[1] - best[0] >= run[1] - run[0] ? best : run), null);
}
