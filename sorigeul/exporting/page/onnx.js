// The graphs of an export in ONNX Runtime, as of sorigeul/exporting/runtime.py.
// S listener frames, N hypotheses of one utterance, D width, L layers of the speller, V vocabulary.

import * as ort from "./vendor/onnxruntime.js";
import { range } from "./numbers.js";

const CONV_REDUCTION = 4;

export const floats = (data, shape) => new ort.Tensor("float32", data, shape);
const integers = (values, shape) => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), shape);

// In one thread: more would need headers (COOP and COEP) that a plain host does not send.
export function prepare(wasm) {
  Object.assign(ort.env.wasm, { wasmBinary: wasm, numThreads: 1 });
  ort.env.logLevel = "error";
}

export function open(graph) {
  // Eight bits are turned into float32 once, here, rather than at every step.
  const extra = { session: { disable_quant_qdq: "1" } };
  return ort.InferenceSession.create(graph, { executionProviders: ["wasm"], logSeverityLevel: 3, extra });
}

export class Model {
  // `config`: { use_attention, use_bidirectional, reduction, sos_id, eos_id, pad_id }
  constructor(listener, speller, config) {
    Object.assign(this, { listener, config, speller: new Speller(speller, config) });
  }

  // Features { values (T F), frames T } -> { memory, frames S, ctc: scores (V) of each frame, or null }
  async listen({ values, frames }) {
    const bands = values.length / frames;
    const padded = new Float32Array(Math.max(frames, CONV_REDUCTION) * bands);
    padded.set(values);
    const features = floats(padded, [1, padded.length / bands, bands]);
    const heard = await this.listener.run({ features, lengths: integers([frames], [1]) });
    const count = Number(heard.frames.data[0]);
    const ctcFrames = Number((heard.ctc_frames ?? heard.frames).data[0]);
    const ctc = heard.ctc_logits && rows(heard.ctc_logits, ctcFrames);
    return { memory: new Memory(heard.values, heard.keys ?? heard.values, count), frames: count, ctc: ctc ?? null };
  }
}

const rows = (tensor, count) => {
  const size = tensor.dims.at(-1);
  return range(count).map((row) => tensor.data.subarray(row * size, (row + 1) * size));
};

// What the speller attends to: `values` and `keys` (1, S, …), of which `count` frames are valid
class Memory {
  constructor(values, keys, count) {
    Object.assign(this, { values, keys, count, copies: new Map() });
    const valid = Uint8Array.from(range(values.dims[1]), (frame) => frame < count);
    this.valid = new ort.Tensor("bool", valid, [1, valid.length]);
  }

  // One frame of zeros: any number of them would give the same context, which is zero
  silent() {
    const zeros = ({ dims }) => floats(new Float32Array(dims[2]), [1, 1, dims[2]]);
    return new Memory(zeros(this.values), zeros(this.keys), 1);
  }

  // The inputs of the graph, with a copy of the memory for each of so many hypotheses
  inputs(copies) {
    if (!this.copies.has(copies)) {
      const copied = ({ type, data, dims }) => {
        const all = new data.constructor(copies * data.length);
        for (let row = 0; row < copies; row++) all.set(data, row * data.length);
        return new ort.Tensor(type, all, [copies, ...dims.slice(1)]);
      };
      const { values, keys, valid } = this;
      this.copies.set(copies, { values: copied(values), keys: copied(keys), valid: copied(valid) });
    }
    return this.copies.get(copies);
  }
}

const hasLayers = (name) => name === "hidden" || name === "cells";

class Speller {
  constructor(session, config) {
    Object.assign(this, { session, config });
    this.inputs = new Map(session.inputMetadata.map(({ name, shape }) => [name, shape]));
    // Otherwise each hypothesis has a memory of its own, as with recurrent attention.
    this.sharesMemory = config.use_attention && !this.inputs.has("previous");
  }

  // The state before the first character, by the names in the graph: arrays of one hypothesis
  start({ values, count }) {
    const width = values.dims[2];
    const hidden = new Float32Array(this.inputs.get("hidden")[0] * width);
    if (!this.config.use_attention) {
      const summary = values.data.slice((count - 1) * width, count * width);
      if (this.config.use_bidirectional) summary.set(values.data.subarray(width / 2, width), width / 2);
      for (let place = 0; place < hidden.length; place += width) hidden.set(summary, place);
    }
    const uniform = Float32Array.from(range(values.dims[1]), (frame) => (frame < count ? 1 / count : 0));
    const every = { hidden, cells: new Float32Array(hidden.length), merged: new Float32Array(width), previous: uniform };
    return Object.fromEntries(Object.entries(every).filter(([name]) => this.inputs.has(name)));
  }

  // The state of the hypotheses `chosen` of `count`
  select(state, chosen, count) {
    return Object.fromEntries(
      Object.entries(state).map(([name, array]) => {
        const layers = hasLayers(name) ? this.inputs.get("hidden")[0] : 1;
        const size = array.length / layers / count;
        const selected = new Float32Array(layers * chosen.length * size);
        for (let layer = 0, place = 0; layer < layers; layer++) {
          for (const row of chosen) {
            const start = (layer * count + row) * size;
            selected.set(array.subarray(start, start + size), place);
            place += size;
          }
        }
        return [name, selected];
      }),
    );
  }

  // One more character of N hypotheses: tokens (N,) -> { logits, alignment: N rows each, state }
  async step(tokens, memory, state) {
    const count = tokens.length;
    const [utterances, each] = this.sharesMemory ? [1, count] : [count, 1];
    const given = { ...memory.inputs(utterances), tokens: integers(tokens, [utterances, each]) };
    const shape = { merged: [utterances, each, -1], previous: [utterances, -1] };
    for (const [name, array] of Object.entries(state)) {
      const dims = shape[name] ?? [this.inputs.get("hidden")[0], utterances, each, -1];
      const known = dims.reduce((product, size) => product * size, -1);
      given[name] = floats(array, dims.with(-1, array.length / known));
    }
    const feeds = Object.fromEntries([...this.inputs.keys()].map((name) => [name, given[name]]));
    const results = await this.session.run(feeds);
    const after = Object.keys(state).map((name) => [name, results[`next_${name}`].data]);
    const noAttention = () => range(count).map(() => new Float32Array(memory.count));
    return {
      logits: rows(results.logits, count),
      alignment: results.alignment ? rows(results.alignment, count) : noAttention(),
      state: Object.fromEntries(after),
    };
  }
}
