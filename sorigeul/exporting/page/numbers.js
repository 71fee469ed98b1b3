// What several modules compute with numbers.

export const SAMPLE_RATE = 16000;

export function logAddExp(first, second) {
  const high = Math.max(first, second);
  return high === -Infinity ? high : high + Math.log1p(Math.exp(Math.min(first, second) - high));
}

export function logSumExp(values) {
  let peak = -Infinity;
  for (const value of values) if (value > peak) peak = value;
  if (peak === -Infinity) return peak;
  let sum = 0;
  for (const value of values) sum += Math.exp(value - peak);
  return Math.log(sum) + peak;
}

export function logSoftmax(scores) {
  const total = logSumExp(scores);
  return Float64Array.from(scores, (score) => score - total);
}

// The place of the largest, the first of several
export function argmax(values) {
  let best = 0;
  for (let place = 1; place < values.length; place++) if (values[place] > values[best]) best = place;
  return best;
}

// As of NumPy: between two values in proportion
export function percentile(values, percent) {
  const sorted = Float64Array.from(values).sort();
  const place = (percent / 100) * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

// As Python rounds: halves to the even neighbour
export function roundHalfToEven(value) {
  const below = Math.floor(value);
  return value - below === 0.5 ? 2 * Math.round(value / 2) : Math.round(value);
}

export function clip(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

export const range = (count) => Array.from({ length: count }, (_, place) => place);
export const sum = (values) => values.reduce((total, value) => total + value, 0);
