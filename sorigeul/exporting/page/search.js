// From the listener's frames to characters, as of sorigeul/search/: greedy, or a beam.
// A hypothesis is { tokens, probabilities, alignment, finished, repetitive }.

import { argmax, logSoftmax } from "./numbers.js";
import {
  CoverageScorer,
  CtcScorer,
  LanguageModelScorer,
  LengthBonus,
  RepetitionGuard,
  SpellerScorer,
} from "./scorers.js";

const MAX_CHARACTERS_PER_FRAME = 0.15;
const EXTRA_CHARACTERS = 8;

// `options`: the fields of SearchOptions, with the width of the beam in `beam`
export async function search(model, heard, options, languageModel) {
  const limit = Math.trunc(heard.frames * model.config.reduction * MAX_CHARACTERS_PER_FRAME) + EXTRA_CHARACTERS;
  if (options.beam === 1 && !languageModel) return greedySearch(model, heard, limit);
  const ctcWeight = heard.ctc ? options.ctc_weight : 0;
  const speller = await SpellerScorer.start(model, heard.memory, 1 - ctcWeight);
  const guard = new RepetitionGuard(speller);
  const scorers = [speller];
  if (ctcWeight > 0) scorers.push(new CtcScorer(heard.ctc, model.config, ctcWeight));
  scorers.push(guard);
  if (options.length_bonus !== 0) scorers.push(new LengthBonus(speller, model.config.eos_id, options.length_bonus));
  if (options.coverage_weight > 0) scorers.push(new CoverageScorer(speller, options.coverage_weight));
  if (languageModel) scorers.push(new LanguageModelScorer(languageModel, options.lm_weights[0]));
  if (options.internal_lm_weight > 0) {
    scorers.push(await SpellerScorer.start(model, heard.memory.silent(), -options.internal_lm_weight));
  }
  return beamSearch(scorers, guard, model.config, limit, options.beam);
}

async function beamSearch(scorers, guard, { sos_id, eos_id, pad_id }, limit, width) {
  const [speller] = scorers;
  const counted = scorers.filter(({ weight }) => weight !== 0);
  let beam = [{ tokens: [], totals: counted.map(() => 0) }];
  let best = null;
  for (let step = 0; step <= limit && beam.length; step++) {
    const steps = counted.map((scorer) => scorer.score());
    const scores = beam.map(({ totals }, row) => {
      const sums = new Float64Array(speller.score()[row].length);
      counted.forEach(({ weight }, n) => {
        const [total, added] = [totals[n], steps[n][row]];
        for (let token = 0; token < sums.length; token++) sums[token] += weight * (total + added[token]);
      });
      sums[sos_id] = sums[pad_id] = -Infinity;
      return sums;
    });
    const ends = scores.map((row) => row[eos_id]);
    for (const row of scores) row.fill(-Infinity, eos_id, eos_id + 1);
    const longer = step < limit ? largest(scores, width) : [];
    // If nothing can be extended or completed, texts end here, as if nothing forbade it.
    const stuck = !best && !longer.length;
    const finishes = ends.map((score) => !stuck || score !== -Infinity);
    beam.forEach(({ totals }, row) => {
      if (finishes[row]) return;
      const step = (n) => (Number.isFinite(steps[n][row][eos_id]) ? steps[n][row][eos_id] : 0);
      ends[row] = counted.reduce((total, { weight }, n) => total + weight * (totals[n] + step(n)), 0);
    });
    const row = argmax(ends);
    if (ends[row] > (best?.score ?? -Infinity)) {
      best = {
        tokens: beam[row].tokens,
        probabilities: speller.probabilities[row],
        alignment: speller.alignments[row],
        finished: finishes[row],
        repetitive: guard.rows[row].repetitive,
        score: ends[row],
      };
    }
    const gains = counted.map((scorer) => scorer.weight * scorer.mostGain(Math.max(limit - step - 1, 0)));
    const most = gains.reduce((total, gain) => total + Math.max(gain, 0), 0);
    const kept = longer.filter(({ score }) => score + most > (best?.score ?? -Infinity));
    beam = kept.map(({ row, token }) => ({
      tokens: [...beam[row].tokens, token],
      totals: beam[row].totals.map((total, n) => total + steps[n][row][token]),
    }));
    if (!beam.length) break;
    const [rows, tokens] = [kept.map(({ row }) => row), kept.map(({ token }) => token)];
    for (const scorer of scorers) await scorer.select(rows, tokens);
  }
  return best ?? { tokens: [], probabilities: [], alignment: [], finished: false, repetitive: false };
}

// The `count` largest of all rows, the largest first; none that is minus infinity
function largest(rows, count) {
  const found = [];
  rows.forEach((scores, row) => {
    for (let token = 0; token < scores.length; token++) {
      const score = scores[token];
      if (score === -Infinity || (found.length === count && !(score > found.at(-1).score))) continue;
      if (found.length === count) found.pop();
      const place = found.findIndex((other) => score > other.score);
      found.splice(place < 0 ? found.length : place, 0, { score, row, token });
    }
  });
  return found;
}

async function greedySearch(model, heard, limit) {
  const { sos_id, eos_id, pad_id } = model.config;
  const found = { tokens: [], probabilities: [], alignment: [], finished: false, repetitive: false };
  let state = model.speller.start(heard.memory);
  let token = sos_id;
  while (found.tokens.length < limit) {
    const step = await model.speller.step([token], heard.memory, state);
    const [scores] = step.logits;
    scores[sos_id] = scores[pad_id] = -Infinity;
    [token, state] = [argmax(scores), step.state];
    if (token === eos_id) return { ...found, finished: true };
    found.tokens.push(token);
    found.probabilities.push(Math.exp(logSoftmax(scores)[token]));
    found.alignment.push(step.alignment[0].slice(0, heard.frames));
  }
  return found;
}
