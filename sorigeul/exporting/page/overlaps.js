// Joins segments that share a second because there was no pause to cut at, as of
// sorigeul/recognition/overlaps.py. A segment is { start, end (seconds), tokens, times, overlapsNext, … }.

import { OVERLAP } from "./segments.js";

const SAME_TIME = 0.6; // seconds

export class OverlapJoiner {
  // `space`: the id of the space
  constructor(space) {
    Object.assign(this, { space, held: null });
  }

  // The next segment -> the segments that are complete
  *feed(current) {
    if (this.held) {
      const [end, start] = seam(this.held, current, this.space);
      yield between(this.held, 0, end);
      current = between(current, start);
    }
    this.held = current.overlapsNext ? current : null;
    if (!this.held) yield current;
  }
}

function between(segment, first, last) {
  return { ...segment, tokens: segment.tokens.slice(first, last), times: segment.times.slice(first, last) };
}

// How many characters of `left` to keep, and from which one on those of `right`
function seam(left, right, space) {
  if (!left.tokens.length || !right.tokens.length) return [left.tokens.length, 0];
  const cut = left.end;
  const first = countBefore(left.times, cut - OVERLAP);
  const last = countBefore(right.times, cut + OVERLAP);
  const shared = matches(left.tokens, first, left.tokens.length, right.tokens, 0, last).filter(
    ([a, b]) => Math.abs(left.times[a] - right.times[b]) <= SAME_TIME,
  );
  if (!shared.length) return [countBefore(left.times, cut), countBefore(right.times, cut)];
  const spaces = shared.filter(([a]) => left.tokens[a] === space); // no word is divided there
  const distance = ([a]) => Math.abs(left.times[a] - cut);
  return (spaces.length ? spaces : shared).reduce((best, place) => (distance(place) < distance(best) ? place : best));
}

// Pairs of places with the same token: the longest common run, and so on before and after it, as
// difflib does
function matches(a, aFirst, aLast, b, bFirst, bLast) {
  let [size, aStart, bStart] = [0, aFirst, bFirst];
  let lengths = new Map(); // of the run that ends at each place of b
  for (let i = aFirst; i < aLast; i++) {
    const next = new Map();
    for (let j = bFirst; j < bLast; j++) {
      if (a[i] !== b[j]) continue;
      const length = (lengths.get(j - 1) ?? 0) + 1;
      next.set(j, length);
      if (length > size) [size, aStart, bStart] = [length, i - length + 1, j - length + 1];
    }
    lengths = next;
  }
  if (!size) return [];
  return [
    ...matches(a, aFirst, aStart, b, bFirst, bStart),
    ...Array.from({ length: size }, (_, n) => [aStart + n, bStart + n]),
    ...matches(a, aStart + size, aLast, b, bStart + size, bLast),
  ];
}

const countBefore = (times, limit) => times.filter((time) => time < limit).length;
