// An n-gram language model of characters, as of sorigeul/lm/ngram.py and ngram_tables.py. A context
// is the last tokens in one integer, the last one in its lowest bits.

export class NgramModel {
  // `file`: the bytes of its model.safetensors
  constructor(file, order, sosId) {
    const arrays = readSafetensors(file);
    this.unigrams = arrays.unigrams;
    this.tables = [];
    for (let length = 2; length <= order; length++) {
      const part = (name) => arrays[`${length}.${name}`];
      const names = ["contexts", "starts", "backoffs", "tokens", "codes", "values"];
      this.tables.push(Object.fromEntries(names.map((name) => [name, part(name)])));
    }
    this.bits = BigInt((this.unigrams.length - 1).toString(2).length);
    this.sosId = BigInt(sosId);
  }

  mask(length) {
    return (1n << (BigInt(length) * this.bits)) - 1n;
  }

  start() {
    return this.tables.reduce((packed) => (packed << this.bits) | this.sosId, 0n);
  }

  advance(context, token) {
    return ((context << this.bits) | BigInt(token)) & this.mask(this.tables.length);
  }

  // Natural log-probabilities of what follows (V,)
  scores(context) {
    const probabilities = Float64Array.from(this.unigrams);
    this.tables.forEach((table, index) => {
      const place = find(table.contexts, context & this.mask(index + 1));
      if (place < 0) return;
      const backoff = table.backoffs[place];
      const [start, end] = [table.starts[place], table.starts[place + 1]];
      let total = 0;
      for (let n = start; n < end; n++) total += table.values[table.codes[n]];
      for (let token = 0; token < probabilities.length; token++) probabilities[token] *= backoff;
      for (let n = start; n < end; n++) {
        probabilities[table.tokens[n]] += (table.values[table.codes[n]] * (1 - backoff)) / total;
      }
    });
    return probabilities.map(Math.log);
  }
}

// Where a number is in a sorted array; -1 if it is not there
function find(sorted, wanted) {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return sorted[low] === wanted ? low : -1;
}

const TYPES = { F32: Float32Array, I64: BigInt64Array, U64: BigUint64Array, U32: Uint32Array, U16: Uint16Array, U8: Uint8Array };

function readSafetensors(file) {
  const length = Number(new DataView(file).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 8, length)));
  const entries = Object.entries(header).filter(([name]) => name !== "__metadata__");
  return Object.fromEntries(
    entries.map(([name, { dtype, data_offsets: [start, end] }]) => [
      name,
      new TYPES[dtype](file.slice(8 + length + start, 8 + length + end)),
    ]),
  );
}
