// Samples to segments with their text, as of sorigeul/recognition/recognizer.py.

import {
  calibrated,
  characterTimes,
  ctcText,
  geometricMean,
  rawConfidence,
  similarity,
  spellOut,
} from "./alignment.js";
import { LogMel } from "./features.js";
import { NgramModel } from "./ngram.js";
import { SAMPLE_RATE } from "./numbers.js";
import { Model, open, prepare } from "./onnx.js";
import { OverlapJoiner } from "./overlaps.js";
import { search } from "./search.js";
import { Segmenter } from "./segments.js";
import { Vocabulary } from "./vocabulary.js";
import { voiceActivity } from "./voice_activity.js";
import { settleBoundaries } from "./word_times.js";

const MIN_CONFIDENCE = 0.3;
const MIN_CALIBRATED_CONFIDENCE = 0.5;
const MIN_CTC_AGREEMENT = 0.6;

export class Recognizer {
  // The model of the export whose page this is
  static async load() {
    const [settings, vocabulary] = await Promise.all(["settings.json", "../vocabulary.json"].map(fetchJson));
    const graphs = ["../listener.onnx", "../speller.onnx", "silero_vad/silero_vad_16k_sequence.onnx"];
    prepare(await fetchUnpacked("vendor/onnxruntime.wasm.gz"));
    const files = await Promise.all(graphs.map(fetchBytes));
    const sessions = [];
    for (const file of files) sessions.push(await open(new Uint8Array(file))); // one at a time
    const [listener, speller, detector] = sessions;
    const { language_model: ngrams, model } = settings;
    const languageModel = ngrams && new NgramModel(await fetchBytes("../lm/model.safetensors"), ngrams.order, model.sos_id);
    return Object.assign(new Recognizer(), {
      settings,
      detector,
      languageModel,
      vocabulary: new Vocabulary(vocabulary),
      model: new Model(listener, speller, model),
      logMel: new LogMel(settings.features),
    });
  }

  // Samples (N,) at 16 kHz -> segments { start (seconds), text, doubtful }, as they are recognised
  async *transcribe(samples) {
    const joiner = new OverlapJoiner(this.vocabulary.ids.get(" "));
    for await (const speech of this.segments(samples)) {
      for (const { start, tokens, doubtful } of joiner.feed(await this.recognize(speech))) {
        yield { start, text: this.vocabulary.decode(tokens), doubtful };
      }
    }
  }

  // Where somebody speaks
  async *segments(samples) {
    const segmenter = new Segmenter(samples, this.settings.limits);
    for await (const { probabilities, levels } of voiceActivity(samples, this.detector)) {
      yield* segmenter.advance(probabilities, levels);
    }
    yield* segmenter.finish();
  }

  async recognize(speech) {
    const { settings, model, vocabulary } = this;
    const reversed = settings.features.input_reverse;
    const heard = await model.listen(this.logMel.compute(speech.samples));
    const found = await search(model, heard, settings.search, this.languageModel);
    const times = characterTimes(heard, found, model.config, reversed);
    const { hypothesis, spans, probabilities } = spellOut(found, times, vocabulary);
    const { tokens } = hypothesis;
    const [begin, seconds] = [(speech.start - speech.overlapBefore) / SAMPLE_RATE, speech.samples.length / SAMPLE_RATE];
    const inSeconds = spans.map((span) => span.map((share) => share * seconds));
    const settled = settleBoundaries(inSeconds, tokens.map((token) => vocabulary.units[token]), speech.samples);
    return {
      start: speech.start / SAMPLE_RATE,
      end: speech.end / SAMPLE_RATE,
      tokens,
      times: settled.map(([from, to]) => begin + (from + to) / 2),
      overlapsNext: speech.overlapAfter > 0,
      doubtful: this.isDoubtful(heard, hypothesis, probabilities),
    };
  }

  isDoubtful(heard, { tokens, probabilities, finished, repetitive }, ctcProbabilities) {
    const { calibration, model } = this.settings;
    const read = heard.ctc && this.vocabulary.spell(ctcText(heard.ctc, model.sos_id));
    const isUnsure = calibration
      ? calibrated(rawConfidence(probabilities, ctcProbabilities), calibration) < MIN_CALIBRATED_CONFIDENCE
      : geometricMean(probabilities) < MIN_CONFIDENCE;
    const agreement = read ? similarity(tokens, read) : 1;
    return !finished || repetitive || isUnsure || agreement < MIN_CTC_AGREEMENT;
  }
}

async function fetched(path) {
  const response = await fetch(new URL(path, import.meta.url));
  if (!response.ok) throw new Error(`${response.url}: ${response.status} ${response.statusText}`);
  return response;
}

const fetchJson = async (path) => (await fetched(path)).json();
const fetchBytes = async (path) => (await fetched(path)).arrayBuffer();

// The content of a .gz file; some servers have it unpacked on the way
async function fetchUnpacked(path) {
  const packed = await fetchBytes(path);
  if (new DataView(packed).getUint16(0) !== 0x1f8b) return packed;
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}
