/** Kubernetes quantities (apimachinery `resource.Quantity`): `128Mi`, `0.5`, `500m`, `1e3`. */

const QUANTITY = /^([+-]?)(\d+(?:\.\d*)?|\.\d+)(?:([KMGTPE]i|[numkMGTPE])|[eE]([+-]?\d{1,3}))?$/;
const MAX_LENGTH = 64;

const DECIMAL_EXPONENT: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const BINARY_POWER: Readonly<Record<string, number>> = { Ki: 1, Mi: 2, Gi: 3, Ti: 4, Pi: 5, Ei: 6 };

/** What {@link parseQuantity} takes, for error messages. */
export const QUANTITY_WORDS = 'a quantity such as 128Mi, 1Gi, 500M or 1048576';

/** The same for CPU. */
export const CPU_WORDS = 'a quantity of cores such as 100m, 0.5 or 2';

/**
 * The number that a quantity means, or null where it is none. Exact up to 2^53; fractions as floating-point
 * numbers come.
 */
export function parseQuantity(quantity: string | number): number | null {
  if (typeof quantity === 'number') return Number.isFinite(quantity) ? quantity : null;
  const match = quantity.length <= MAX_LENGTH ? QUANTITY.exec(quantity) : null;
  if (match === null) return null;
  const [, sign, digits = '', suffix, exponent] = match;
  let value: number;
  if (suffix !== undefined && suffix in BINARY_POWER) {
    value = Number(digits) * 1024 ** (BINARY_POWER[suffix] ?? 0);
  } else {
    // By way of text: 0.1 × 1000 is not 100 in floating point, Number('0.1e3') is.
    value = Number(`${digits}e${suffix === undefined ? (exponent ?? '0') : (DECIMAL_EXPONENT[suffix] ?? 0)}`);
  }
  if (!Number.isFinite(value)) return null;
  return sign === '-' ? 0 - value : value;
}

/** A quantity of bytes, rounded up as Kubernetes does; null where it is none or negative. */
export function parseBytes(quantity: string | number): number | null {
  const value = parseQuantity(quantity);
  return value === null || value < 0 ? null : Math.ceil(value);
}
