// Log-mel features, as of sorigeul/sound/array_features.py and frame_normalization.py.
// T frames, F mel bands.

import { SAMPLE_RATE, logSumExp, range } from "./numbers.js";

const LOG_FLOOR = 1e-10;
const SPEECH_DEPTH = 3.5 * Math.log(10);
const FLOOR_DEPTH = 6 * Math.log(10);
const STD_FLOOR = 1e-2;

const WINDOWS = {
  hamming: (turn) => 0.54 - 0.46 * Math.cos(turn),
  hann: (turn) => 0.5 - 0.5 * Math.cos(turn),
  blackman: (turn) => 0.42 - 0.5 * Math.cos(turn) + 0.08 * Math.cos(2 * turn),
  rectangular: () => 1,
};

export class LogMel {
  // `config`: the fields of FeatureConfig, with `window_samples`
  constructor(config) {
    const { n_fft: size, window_samples: length } = config;
    this.config = config;
    this.window = new Float32Array(size);
    const left = Math.floor((size - length) / 2);
    for (let n = 0; n < length; n++) {
      this.window[left + n] = WINDOWS[config.window]((2 * Math.PI * n) / length);
    }
    this.cosines = Float64Array.from(range(size), (n) => Math.cos((2 * Math.PI * n) / size));
    this.sines = Float64Array.from(range(size), (n) => Math.sin((2 * Math.PI * n) / size));
    this.filters = melFilters(config.n_mels, size);
  }

  // Samples (N,) at 16 kHz -> { values (T F), frames T }
  compute(samples) {
    const { hop_length: hop, n_mels: bands, n_fft: size } = this.config;
    const frames = Math.floor(samples.length / hop) + 1;
    const values = new Float32Array(frames * bands);
    const frame = new Float64Array(size);
    for (let time = 0; time < frames; time++) {
      const start = time * hop - size / 2;
      for (let n = 0; n < size; n++) frame[n] = (samples[start + n] ?? 0) * this.window[n];
      const power = this.powerSpectrum(frame);
      this.filters.forEach(({ first, weights }, band) => {
        let total = 0;
        for (let n = 0; n < weights.length; n++) total += weights[n] * power[first + n];
        values[time * bands + band] = Math.log(Math.max(total, LOG_FLOOR));
      });
    }
    return { values: this.finished(values, frames), frames };
  }

  // The squares of the Fourier transform of a frame, by the definition: the samples that meet the
  // same cosine are added first, which halves the work.
  powerSpectrum(frame) {
    const { cosines, sines } = this;
    const size = frame.length;
    const half = size / 2;
    const even = new Float64Array(half);
    const odd = new Float64Array(half);
    for (let n = 1; n < half; n++) {
      even[n] = frame[n] + frame[size - n];
      odd[n] = frame[n] - frame[size - n];
    }
    const power = new Float32Array(half + 1);
    for (let bin = 0; bin <= half; bin++) {
      let real = frame[0] + (bin % 2 ? -frame[half] : frame[half]);
      let imaginary = 0;
      for (let n = 1, turn = bin; n < half; n++) {
        real += even[n] * cosines[turn];
        imaginary += odd[n] * sines[turn];
        turn += bin;
        if (turn >= size) turn -= size;
      }
      power[bin] = real * real + imaginary * imaginary;
    }
    return power;
  }

  // Normalised, and reversed in time if the model wants that
  finished(values, frames) {
    const { normalization, input_reverse: reversed, n_mels: bands } = this.config;
    const rows = range(frames).map((time) => values.subarray(time * bands, (time + 1) * bands));
    if (normalization === "utterance") normalize(rows, rows);
    if (normalization === "speech") normalize(rows, loudRows(rows, values));
    if (!reversed) return values;
    const backwards = new Float32Array(values.length);
    rows.reverse().forEach((row, time) => backwards.set(row, time * bands));
    return backwards;
  }
}

// Each band of all rows to mean 0 and deviation 1 over the counted ones, in place
function normalize(rows, counted) {
  for (let band = 0; band < rows[0].length; band++) {
    let mean = 0;
    let variance = 0;
    for (const row of counted) mean += row[band] / counted.length;
    for (const row of counted) variance += (row[band] - mean) ** 2 / counted.length;
    const deviation = Math.max(Math.sqrt(variance), STD_FLOOR);
    for (const row of rows) row[band] = (row[band] - mean) / deviation;
  }
}

// The rows that are loud enough for speech; what is far below the loudest band is raised, in place
function loudRows(rows, values) {
  const loudness = rows.map(logSumExp);
  const loudest = loudness.reduce((most, level) => Math.max(most, level));
  const floor = values.reduce((most, value) => Math.max(most, value)) - FLOOR_DEPTH;
  values.forEach((value, place) => (values[place] = Math.max(value, floor)));
  return rows.filter((_, time) => loudness[time] > loudest - SPEECH_DEPTH);
}

// Triangular filters of equal area (Slaney 1998), as of sorigeul/sound/mel.py: the first bin of
// each that is not zero, and its weights from there
function melFilters(bands, size) {
  const highest = hertzToMel(SAMPLE_RATE / 2);
  const edges = range(bands + 2).map((n) => melToHertz((highest * n) / (bands + 1)));
  return range(bands).map((band) => {
    const [low, middle, high] = edges.slice(band, band + 3);
    const weights = range(size / 2 + 1).map((bin) => {
      const hertz = (bin * SAMPLE_RATE) / size;
      const height = Math.min((hertz - low) / (middle - low), (high - hertz) / (high - middle));
      return (Math.max(height, 0) * 2) / (high - low);
    });
    const first = Math.max(weights.findIndex((weight) => weight > 0), 0);
    const last = weights.findLastIndex((weight) => weight > 0);
    return { first, weights: Float32Array.from(weights.slice(first, last + 1)) };
  });
}

const LINEAR_HERTZ_PER_MEL = 200 / 3;
const LOG_START_MEL = 1000 / LINEAR_HERTZ_PER_MEL;
const LOG_STEP = Math.log(6.4) / 27;

function hertzToMel(hertz) {
  return hertz < 1000 ? hertz / LINEAR_HERTZ_PER_MEL : LOG_START_MEL + Math.log(hertz / 1000) / LOG_STEP;
}

function melToHertz(mel) {
  return mel < LOG_START_MEL ? LINEAR_HERTZ_PER_MEL * mel : 1000 * Math.exp(LOG_STEP * (mel - LOG_START_MEL));
}
