/** Damaged modules and components for tests, made by someone who knows how they are built. */
import fc from 'fast-check';

const PREAMBLE_BYTES = 8;
/** Counts and sizes that a decoder must not believe, some of them longer than they need to be, or than they may be. */
const HOSTILE_NUMBERS: readonly (readonly number[])[] = [
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
  [0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
  [0xff, 0xff, 0xff, 0x7f],
  [0x80, 0x80, 0x80, 0x80, 0x08],
  [0x81, 0x80, 0x80, 0x00],
  [0x00],
  [0x7f],
];

interface Section {
  readonly id: number;
  readonly payload: Uint8Array;
}

/** Both formats are a preamble and sections: an id, a size, a payload. What is no section stays out. */
export function sectionsOf(binary: Uint8Array): Section[] {
  const sections: Section[] = [];
  let at = PREAMBLE_BYTES;
  while (at < binary.length) {
    const id = binary[at++] ?? 0;
    let size = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = binary[at++] ?? 0;
      size += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    sections.push({ id, payload: binary.subarray(at, at + size) });
    at += size;
  }
  return sections;
}

function join(preamble: Uint8Array, sections: readonly Section[]): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [preamble.subarray(0, PREAMBLE_BYTES)];
  for (const { id, payload } of sections) parts.push(Uint8Array.of(id, ...leb(payload.length)), payload);
  return new Uint8Array(Buffer.concat(parts));
}

function leb(value: number): number[] {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes.push((left % 0x80) | 0x80);
  return [...bytes, left];
}

type Change = (sections: Section[], preamble: Uint8Array) => void;
// Without the bias to 0, which is the type section.
const place = fc.noBias(fc.nat({ max: 1_000_000 }));
const at = <T>(list: readonly T[], index: number): T | undefined => list[index % Math.max(1, list.length)];

function edited(payload: (bytes: Uint8Array) => Uint8Array): (which: number) => Change {
  return (which) => (sections) => {
    const section = at(sections, which);
    if (!section) return;
    sections[which % sections.length] = { id: section.id, payload: payload(section.payload) };
  };
}

const splice = (bytes: Uint8Array, from: number, to: number, added: readonly number[]): Uint8Array =>
  Uint8Array.from([...bytes.subarray(0, from), ...added, ...bytes.subarray(to)]);

function changes(others: readonly Uint8Array[]): fc.Arbitrary<Change> {
  const number = fc.constantFrom(...HOSTILE_NUMBERS);
  return fc.oneof(
    // A byte, anywhere in a section: near its beginning are the counts.
    fc.tuple(place, fc.oneof(fc.nat(20), place), fc.nat(255)).map(([which, offset, value]) =>
      edited((bytes) => {
        const copy = bytes.slice();
        if (copy.length > 0) copy[offset % copy.length] = value;
        return copy;
      })(which),
    ),
    // A bit, which often leaves it valid.
    {
      weight: 4,
      arbitrary: fc.tuple(place, place, fc.nat(7)).map(([which, offset, bit]) =>
        edited((bytes) => {
          const copy = bytes.slice();
          if (copy.length > 0) copy[offset % copy.length] = (copy[offset % copy.length] ?? 0) ^ (1 << bit);
          return copy;
        })(which),
      ),
    },
    // A number in the place of a byte.
    fc.tuple(place, fc.oneof(fc.constant(0), fc.nat(20), place), number).map(([which, offset, digits]) =>
      edited((bytes) => {
        const from = bytes.length === 0 ? 0 : offset % bytes.length;
        return splice(bytes, from, from + 1, digits);
      })(which),
    ),
    fc
      .tuple(place, place)
      .map(([which, end]) => edited((bytes) => bytes.subarray(0, end % (bytes.length + 1)))(which)),
    fc.tuple(place, place).map(([one, two]): Change => (sections) => {
      const [a, b] = [at(sections, one), at(sections, two)];
      if (!a || !b) return;
      sections[one % sections.length] = b;
      sections[two % sections.length] = a;
    }),
    place.map(
      (which): Change =>
        (sections) =>
          void sections.splice(which % Math.max(1, sections.length), 1),
    ),
    fc.tuple(place, place).map(([which, to]): Change => (sections) => {
      const section = at(sections, which);
      if (section) sections.splice(to % (sections.length + 1), 0, section);
    }),
    // A section of another binary, in the place of one of the same kind where there is one.
    fc.tuple(place, place).map(([which, from]): Change => (sections) => {
      const section = at(sectionsOf(at(others, which) ?? new Uint8Array()), from);
      if (!section) return;
      const same = sections.findIndex(({ id }) => id === section.id);
      sections.splice(same < 0 ? from % (sections.length + 1) : same, same < 0 ? 0 : 1, section);
    }),
  );
}

/** One of the seeds with one or two changes to its sections, and perhaps its end cut off. */
export function damaged(seeds: readonly Uint8Array[]): fc.Arbitrary<Uint8Array<ArrayBuffer>> {
  return fc
    .tuple(
      fc.constantFrom(...seeds),
      fc.array(changes(seeds), { minLength: 1, maxLength: 2 }),
      fc.option(place, { freq: 10 }),
    )
    .map(([seed, list, cut]) => {
      const sections = sectionsOf(seed);
      for (const change of list) change(sections, seed);
      const binary = join(seed, sections);
      return cut === null ? binary : binary.slice(0, cut % (binary.length + 1));
    });
}
