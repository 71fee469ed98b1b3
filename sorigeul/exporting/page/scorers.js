// What a beam search adds up to judge a text, as of sorigeul/search/scorers.py. Each scorer gives
// for every hypothesis what each next character adds, `score()` -> N arrays (V,), and goes on with
// those that are chosen, `select(chosen, tokens)`. The end of sentence is a character here too.

import { PrefixScorer } from "./ctc_prefix.js";
import { logSoftmax, range } from "./numbers.js";

class Scorer {
  constructor(weight) {
    this.weight = weight;
  }
  // The most that so many further characters can add
  mostGain() {
    return 0;
  }
  select() {}
}

export class SpellerScorer extends Scorer {
  static async start(model, memory, weight) {
    const scorer = new SpellerScorer(weight);
    Object.assign(scorer, { model, memory, probabilities: [[]], alignments: [[]] });
    await scorer.step([model.config.sos_id], model.speller.start(memory));
    return scorer;
  }

  async step(tokens, before) {
    const { logits, alignment, state } = await this.model.speller.step(tokens, this.memory, before);
    const { sos_id, pad_id } = this.model.config;
    for (const row of logits) row[sos_id] = row[pad_id] = -Infinity; // never characters
    this.scores = logits.map(logSoftmax);
    this.attention = alignment.map((row) => row.slice(0, this.memory.count));
    this.state = state;
  }

  score() {
    return this.scores;
  }

  async select(chosen, tokens) {
    const count = this.scores.length;
    this.probabilities = chosen.map((row, n) => [...this.probabilities[row], Math.exp(this.scores[row][tokens[n]])]);
    this.alignments = chosen.map((row) => [...this.alignments[row], this.attention[row]]);
    await this.step(tokens, this.model.speller.select(this.state, chosen, count));
  }
}

export class CtcScorer extends Scorer {
  constructor(logits, { pad_id, eos_id }, weight) {
    super(weight);
    this.prefixes = new PrefixScorer(logits, pad_id);
    this.eosId = eos_id;
    this.rows = [{ prefix: this.prefixes.empty(), total: 0 }];
  }

  score() {
    this.extended = this.rows.map(({ prefix }) => {
      const scores = this.prefixes.extensions(prefix);
      scores[this.eosId] = this.prefixes.complete(prefix);
      return scores;
    });
    return this.extended.map((scores, row) => {
      const { total } = this.rows[row];
      return scores.map((score) => (Number.isFinite(score) ? score - total : -Infinity));
    });
  }

  select(chosen, tokens) {
    this.rows = chosen.map((row, n) => ({
      prefix: this.prefixes.extend(this.rows[row].prefix, tokens[n]),
      total: this.extended[row][tokens[n]],
    }));
  }
}

export class LanguageModelScorer extends Scorer {
  constructor(model, weight) {
    super(weight);
    Object.assign(this, { model, contexts: [model.start()] });
  }

  score() {
    return this.contexts.map((context) => this.model.scores(context));
  }

  select(chosen, tokens) {
    this.contexts = chosen.map((row, n) => this.model.advance(this.contexts[row], tokens[n]));
  }
}

// One for each character
export class LengthBonus extends Scorer {
  constructor(speller, eosId, weight) {
    super(weight);
    this.speller = speller;
    this.ones = speller.score()[0].map((_, token) => (token === eosId ? 0 : 1));
  }

  mostGain(characters) {
    return characters;
  }

  score() {
    return this.speller.score().map(() => this.ones);
  }
}

// How many frames the attention covers (Chorowski and Jaitly 2017)
export class CoverageScorer extends Scorer {
  constructor(speller, weight) {
    super(weight);
    this.speller = speller;
  }

  mostGain(characters) {
    return characters > 0 ? this.speller.attention[0].length : 0;
  }

  score() {
    const { scores, alignments, attention } = this.speller;
    return scores.map((row, n) => {
      const gained = attention[n].reduce((count, now, frame) => {
        const before = alignments[n].reduce((total, step) => total + step[frame], 0);
        return count + (before + now > 0.5 && before <= 0.5);
      }, 0);
      return new Float64Array(row.length).fill(gained);
    });
  }
}

// Forbids to go on with a text that repeats itself: four times, and twelve characters at least
export class RepetitionGuard extends Scorer {
  constructor(speller) {
    super(1);
    this.speller = speller;
    this.rows = [{ tokens: [], matches: [], repetitive: false }];
  }

  // `matches`: for each period, how many of the last characters equal the one a period before
  score() {
    return this.rows.map((row, n) => {
      const scores = new Float64Array(this.speller.score()[n].length);
      row.matches.forEach((count, period) => {
        if (count < (Math.max(Math.ceil(12 / period), 4) - 1) * period) return;
        scores[row.tokens.at(-period)] = -Infinity;
        row.repetitive = true;
      });
      return scores;
    });
  }

  select(chosen, tokens) {
    this.rows = chosen.map((from, n) => {
      const { tokens: history, matches, repetitive } = this.rows[from];
      const counted = [];
      for (const period of range(Math.min(16, history.length)).map((index) => index + 1)) {
        counted[period] = history.at(-period) === tokens[n] ? (matches[period] ?? 0) + 1 : 0;
      }
      return { tokens: [...history, tokens[n]], matches: counted, repetitive };
    });
  }
}
