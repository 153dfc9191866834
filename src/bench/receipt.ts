/**
 * The invocation receipt as the platform's answers carry it: asked for by the header `x-fissium-receipt: 1`, it comes
 * back under the same name as `queue=0.01; specialise=0.00; …; instance=new; cold=first-request`.
 */

export const RECEIPT_HEADER = 'x-fissium-receipt';

/** What a request that wants a receipt carries. */
export const RECEIPT_REQUEST: Readonly<Record<string, string>> = { [RECEIPT_HEADER]: '1' };

/** The parts of a request's time, in the order in which they happen. */
export const RECEIPT_PARTS = ['queue', 'specialise', 'instantiate', 'guest', 'host', 'wait'] as const;

export type ReceiptPart = (typeof RECEIPT_PARTS)[number];

/** What each part is, for somebody who has never seen the project. */
export const PART_TEXT: Readonly<Record<ReceiptPart, string>> = {
  queue: 'waiting for a thread and for its turn',
  specialise: 'making the package ready in the thread',
  instantiate: 'making or resetting the instance',
  guest: "the function's own code",
  host: 'what the function asked of the platform',
  wait: 'suspended, waiting for something outside',
};

export interface Receipt {
  /** ms; a part that the platform does not tell is absent. */
  readonly parts: Readonly<Partial<Record<ReceiptPart, number>>>;
  /** Peak of the guest's linear memory, bytes. */
  readonly memoryBytes: number | null;
  /** How its instance came about: `new`, `reset`, `reused`, … */
  readonly instance: string | null;
  /** Why it was a cold start; null where it was none, or that is not told. */
  readonly cold: string | null;
}

/** Words that say that it was no cold start. */
const NOT_COLD = new Set(['', 'no', 'none', 'false', '0', '-', 'warm']);

/**
 * Reads a receipt. Tolerant, since platform and suite may be of different versions: unknown names are passed over, a
 * value that is no figure counts as absent, `ms` behind a figure is taken.
 * @returns null where there is no receipt: no header, or nothing in it that is known
 */
export function parseReceipt(header: string | readonly string[] | undefined): Receipt | null {
  const text = typeof header === 'string' ? header : (header ?? []).join(';');
  const pairs = new Map<string, string>();
  for (const pair of text.split(/[;,]/)) {
    const at = pair.indexOf('=');
    if (at <= 0) continue;
    const value = pair.slice(at + 1).trim();
    pairs.set(pair.slice(0, at).trim().toLowerCase(), value.replace(/^"(.*)"$/, '$1'));
  }
  const parts: Partial<Record<ReceiptPart, number>> = {};
  for (const part of RECEIPT_PARTS) {
    const ms = figure(pairs.get(part) ?? (part === 'wait' ? pairs.get('waiting') : undefined));
    if (ms !== null) parts[part] = ms;
  }
  const memoryBytes = figure(pairs.get('memory'));
  const instance = pairs.get('instance') || null;
  const why = pairs.get('cold') ?? '';
  if (Object.keys(parts).length === 0 && memoryBytes === null && instance === null) return null;
  return { parts, memoryBytes, instance, cold: NOT_COLD.has(why.toLowerCase()) ? null : why };
}

function figure(text: string | undefined): number | null {
  const match = /^(\d+(?:\.\d+)?(?:e[+-]?\d+)?) *(?:ms)?$/i.exec(text ?? '');
  const value = Number(match?.[1] ?? Number.NaN);
  return Number.isFinite(value) ? value : null;
}
