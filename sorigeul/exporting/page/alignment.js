// When each character is spoken, and how sure it is, as of sorigeul/model/ctc_alignment.py,
// sorigeul/recognition/character_times.py and confidence.py. S frames, U characters.

import { argmax, logSumExp, range, sum } from "./numbers.js";

const LEAST_ATTENTION = 1e-6;
const LEAST_PROBABILITY = 1e-9;
const CTC_SHARE = 0.3;

// A hypothesis -> { spans: start and end of each character as shares of the utterance, and the CTC
// head's probability of each, or null }
export function characterTimes(heard, hypothesis, { pad_id, use_attention }, reversed) {
  const { tokens, alignment } = hypothesis;
  if (heard.ctc && !reversed) return aligned(heard.ctc, tokens, pad_id) ?? evenTimes(tokens.length);
  if (!use_attention) return evenTimes(tokens.length);
  // In a frame the units are the characters; the blank is as probable as one that is attended to
  // in all frames alike.
  const frames = heard.frames;
  const logits = range(frames).map((frame) => {
    const place = reversed ? frames - 1 - frame : frame;
    const row = alignment.map((weights) => Math.log(Math.max(weights[place], LEAST_ATTENTION)));
    return Float32Array.from([...row, -Math.log(Math.max(frames, 1))]);
  });
  const times = aligned(logits, range(tokens.length), tokens.length);
  return times ? { ...times, probabilities: null } : evenTimes(tokens.length);
}

// A hypothesis and its times, of units -> the same of characters. A unit's characters have its
// probabilities, and equal shares of its time, but for the space before a word, which has none.
export function spellOut(hypothesis, times, vocabulary) {
  if (!vocabulary.isBpe) return { hypothesis, ...times };
  const characters = hypothesis.tokens.flatMap((token, place) => {
    const letters = [...vocabulary.units[token]];
    const silent = letters.length > 1 && !letters[0].trim() ? 1 : 0;
    const [start, end] = times.spans[place];
    const edge = (n) => start + ((end - start) * Math.max(n - silent, 0)) / (letters.length - silent);
    return letters.map((_, n) => ({ place, span: [edge(n), edge(n + 1)] }));
  });
  const tokens = vocabulary.spell(hypothesis.tokens);
  const kept = characters.slice(characters.length - tokens.length); // no space before the first word
  const ofUnits = (values) => values && kept.map(({ place }) => values[place]);
  return {
    hypothesis: { ...hypothesis, tokens, probabilities: ofUnits(hypothesis.probabilities) },
    spans: kept.map(({ span }) => span),
    probabilities: ofUnits(times.probabilities),
  };
}

const evenTimes = (count) => ({ spans: range(count).map((n) => [n / count, (n + 1) / count]), probabilities: null });

// The most probable path (Viterbi) through the states blank, character, blank, …, blank; null if a
// text needs more frames than there are
function aligned(logits, tokens, blank) {
  const units = [blank, ...tokens.flatMap((token) => [token, blank])];
  const scores = logits.map((row) => {
    const total = logSumExp(row);
    return Float32Array.from(units, (unit) => row[unit] - total);
  });
  const maySkip = units.map((unit, state) => state > 2 && state % 2 === 1 && unit !== units[state - 2]);
  let best = new Float32Array(units.length).fill(-Infinity);
  best.set(scores[0].subarray(0, 2));
  const steps = [];
  for (const row of scores.slice(1)) {
    const next = new Float32Array(units.length);
    const taken = new Uint8Array(units.length);
    for (let state = 0; state < units.length; state++) {
      const ways = [best[state], best[state - 1] ?? -Infinity, maySkip[state] ? best[state - 2] : -Infinity];
      taken[state] = argmax(ways);
      next[state] = ways[taken[state]] + row[state];
    }
    best = next;
    steps.push(taken);
  }
  const [blankEnd, characterEnd] = [units.length - 1, Math.max(units.length - 2, 0)];
  let state = best[characterEnd] > best[blankEnd] ? characterEnd : blankEnd;
  if (!Number.isFinite(best[state])) return null;
  const path = [state];
  for (const taken of steps.reverse()) path.unshift((state -= taken[state]));
  const places = tokens.map(() => []);
  path.forEach((state, frame) => state % 2 && places[(state - 1) / 2].push(frame));
  if (places.some((frames) => !frames.length)) return null;
  return {
    spans: places.map((frames) => [frames[0] / logits.length, (frames.at(-1) + 1) / logits.length]),
    probabilities: places.map((frames, n) =>
      Math.exp(sum(frames.map((frame) => scores[frame][2 * n + 1])) / frames.length),
    ),
  };
}

export function geometricMean(probabilities) {
  const logs = probabilities.map((probability) => Math.log(Math.max(probability, LEAST_PROBABILITY)));
  return logs.length ? Math.exp(sum(logs) / logs.length) : 0;
}

export function rawConfidence(speller, ctc) {
  const mean = geometricMean(speller);
  return ctc ? mean ** (1 - CTC_SHARE) * geometricMean(ctc) ** CTC_SHARE : mean;
}

// Platt scaling: a probability for a raw confidence
export function calibrated(raw, { temperature, bias }) {
  const inside = Math.min(Math.max(raw, 1e-6), 1 - 1e-6);
  const logit = Math.log(inside / (1 - inside)) / temperature + bias;
  return 0.5 * (1 + Math.tanh(0.5 * logit));
}

// What the CTC head reads on its own: repeats merged, blanks removed
export function ctcText(logits, specials) {
  const path = logits.map(argmax);
  return path.filter((token, frame) => token !== path[frame - 1] && token < specials);
}

// The share of the longer of two texts that they have in common, in its order
export function similarity(first, second) {
  let lengths = new Array(second.length + 1).fill(0); // of the longest common subsequence
  for (const token of first) {
    const next = [0];
    second.forEach((other, n) => next.push(token === other ? lengths[n] + 1 : Math.max(lengths[n + 1], next[n])));
    lengths = next;
  }
  const longer = Math.max(first.length, second.length);
  return longer ? lengths.at(-1) / longer : 1;
}
