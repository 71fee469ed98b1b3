// CTC prefix scores (Hori, Watanabe and Hershey 2017), as of sorigeul/search/ctc_prefix_scorer.py.
// S frames, V vocabulary. A prefix is { inCharacter, inBlank, last }: for each frame the
// log-probability that the frames up to it write exactly the prefix, by the paths that end in its
// last character or in a blank (S,).

import { logAddExp, logSoftmax, logSumExp } from "./numbers.js";

export class PrefixScorer {
  // `logits`: of the CTC head, an array (V,) for each frame
  constructor(logits, blank) {
    this.scores = logits.map(logSoftmax);
    this.probabilities = this.scores.map((frame) => frame.map(Math.exp));
    this.blank = blank;
  }

  empty() {
    let total = 0;
    const inBlank = Float64Array.from(this.scores, (frame) => (total += frame[this.blank]));
    return { inCharacter: new Float64Array(inBlank.length).fill(-Infinity), inBlank, last: this.blank };
  }

  // Log-probability of a prefix as the complete text
  complete({ inCharacter, inBlank }) {
    return logAddExp(inCharacter.at(-1), inBlank.at(-1));
  }

  // Log-probability of all texts that begin with a prefix and one more token (V,)
  extensions(prefix) {
    const entering = this.entering(prefix, null);
    const peak = Math.max(entering.reduce((most, score) => Math.max(most, score)), -1e300);
    const scores = new Float64Array(this.scores[0].length);
    entering.forEach((score, frame) => {
      const weight = Math.exp(score - peak);
      if (weight === 0) return;
      const probabilities = this.probabilities[frame];
      for (let token = 0; token < scores.length; token++) scores[token] += weight * probabilities[token];
    });
    for (let token = 0; token < scores.length; token++) scores[token] = Math.log(scores[token]) + peak;
    // That is too high for a repeated character, which needs a blank in between.
    const repeated = this.entering(prefix, prefix.last);
    scores[prefix.last] = logSumExp(repeated.map((score, frame) => score + this.scores[frame][prefix.last]));
    return scores;
  }

  extend(prefix, token) {
    const entering = this.entering(prefix, token);
    const inCharacter = new Float64Array(entering.length);
    const inBlank = new Float64Array(entering.length).fill(-Infinity);
    inCharacter[0] = entering[0] + this.scores[0][token];
    for (let frame = 1; frame < entering.length; frame++) {
      const scores = this.scores[frame];
      inBlank[frame] = logAddExp(inBlank[frame - 1], inCharacter[frame - 1]) + scores[this.blank];
      inCharacter[frame] = logAddExp(inCharacter[frame - 1], entering[frame]) + scores[token];
    }
    return { inCharacter, inBlank, last: token };
  }

  // Log-probability that the frames before each write the prefix, by paths that `token` may follow
  entering({ inCharacter, inBlank, last }, token) {
    const scores = new Float64Array(inBlank.length);
    scores[0] = last === this.blank ? 0 : -Infinity;
    for (let frame = 1; frame < scores.length; frame++) {
      const before = inBlank[frame - 1];
      scores[frame] = token === last ? before : logAddExp(inCharacter[frame - 1], before);
    }
    return scores;
  }
}
