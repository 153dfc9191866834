/** Rendezvous (highest random weight) hashing: a key keeps its place while others come and go. */

/** FNV-1a, 32 bits, with a final mix: short texts that differ in a digit must fall far apart. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}

/** The candidate that a key belongs to; undefined where there is none. The order of candidates does not matter. */
export function rendezvous<T>(
  key: string,
  candidates: Iterable<T>,
  nameOf: (candidate: T) => string,
): T | undefined {
  let best: T | undefined;
  let bestName = '';
  let most = -1;
  for (const candidate of candidates) {
    const name = nameOf(candidate);
    const weight = hash(`${key}\0${name}`);
    if (weight < most || (weight === most && name < bestName)) continue;
    best = candidate;
    bestName = name;
    most = weight;
  }
  return best;
}
