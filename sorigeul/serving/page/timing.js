// The times of words: which word is spoken now, and when the words of a corrected text were spoken.

export const LOW_CONFIDENCE = 0.5;

export function isLow(word) {
  return word.confidence !== null && word.confidence < LOW_CONFIDENCE;
}

// The last of `things`, which are in order of their start, that has begun at `time`; -1 before all
export function begun(things, time) {
  let low = 0;
  let high = things.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (things[middle].start <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

// The words of a corrected text. A word that was there before keeps its time and its confidence; the
// others share the time of what they replace, by their length, and have no confidence.
export function retime(words, text, start, end) {
  const written = text.split(/\s+/).filter(Boolean);
  const kept = commonWords(words.map((word) => word.word), written);
  const result = [];
  let old = 0;
  for (const [before, after] of [...kept, [words.length, written.length]]) {
    const replaced = words.slice(old, before);
    const from = replaced[0]?.start ?? words[old - 1]?.end ?? start;
    const to = replaced.at(-1)?.end ?? words[before]?.start ?? end;
    result.push(...spread(written.slice(result.length, after), from, Math.max(from, to)));
    if (before < words.length) result.push(words[before]);
    old = before + 1;
  }
  return result;
}

function spread(written, from, to) {
  const letters = written.reduce((sum, word) => sum + word.length, 0);
  let before = 0;
  return written.map((word) => {
    const start = from + ((to - from) * before) / letters;
    before += word.length;
    return { word, start, end: from + ((to - from) * before) / letters, confidence: null };
  });
}

// Longest common subsequence: pairs of positions, rising in both
function commonWords(one, other) {
  const lengths = Array.from({ length: one.length + 1 }, () => new Uint16Array(other.length + 1));
  for (let i = one.length - 1; i >= 0; i--) {
    for (let j = other.length - 1; j >= 0; j--) {
      lengths[i][j] =
        one[i] === other[j] ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  const pairs = [];
  for (let i = 0, j = 0; i < one.length && j < other.length; ) {
    if (one[i] === other[j]) pairs.push([i++, j++]);
    else if (lengths[i + 1][j] >= lengths[i][j + 1]) i++;
    else j++;
  }
  return pairs;
}
