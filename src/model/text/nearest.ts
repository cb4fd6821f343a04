/** The distance at which two words still count as a slip of the fingers: a third of the word, at least one letter. */
function tolerance(word: string): number {
  return Math.max(1, Math.floor(word.length / 3));
}

/**
 * Damerau-Levenshtein distance (optimal string alignment: an insertion, a deletion, a substitution or a swap of
 * neighbours costs 1), or `limit + 1` as soon as it must exceed `limit`.
 */
export function distance(a: string, b: string, limit: number = Number.MAX_SAFE_INTEGER - 1): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    let best = i;
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(
        previous[j - 1]! + (same ? 0 : 1), // substitution
        previous[j]! + 1, // deletion
        row[j - 1]! + 1, // insertion
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, beforePrevious[j - 2]! + 1); // neighbours swapped
      }
      row.push(cost);
      if (cost < best) best = cost;
    }
    // A swap looks two rows back, so only two rows in succession beyond the limit are final; the second is enough here
    // because a row's minimum never falls below the smaller of the two before it.
    if (best > limit && Math.min(...previous) > limit) return limit + 1;
    beforePrevious = previous;
    previous = row;
  }
  return Math.min(previous[b.length]!, limit + 1);
}

/**
 * Up to `count` of `candidates` that `word` may have been meant for, nearest first; ties keep the candidates' order.
 * Case does not count. Candidates that merely begin with a word of three letters or more come last.
 */
export function nearestFew(word: string, candidates: Iterable<string>, count: number): string[] {
  const wanted = word.toLowerCase();
  const limit = tolerance(wanted);
  const found: { candidate: string; cost: number }[] = [];
  for (const candidate of new Set(candidates)) {
    const other = candidate.toLowerCase();
    const cost = distance(wanted, other, limit);
    if (cost <= limit) found.push({ candidate, cost });
    else if (wanted.length >= 3 && other.startsWith(wanted)) found.push({ candidate, cost: limit + 1 });
  }
  found.sort((a, b) => a.cost - b.cost);
  return found.slice(0, count).map(({ candidate }) => candidate);
}

/** The one of `candidates` that `word` was probably meant for, if any is near enough to suggest. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  return nearestFew(word, candidates, 1)[0];
}
