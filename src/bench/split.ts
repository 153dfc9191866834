/** Where a request's time went, by its receipt: as series that the report draws as one bar for each kind of request. */
import type { Asked } from './ask.ts';
import type { Collector } from './collector.ts';
import { parseReceipt, RECEIPT_HEADER, RECEIPT_PARTS, type Receipt } from './receipt.ts';

const SEPARATOR = ', from the receipt: ';

/** What the receipt does not account for: connecting, HTTP on both sides, and the caller's own work. */
export const OUTSIDE = 'outside';

/** The receipt of an answer, in its head or behind its body; null where the platform gave none. */
export function receiptOf({ headers, trailers }: Asked): Receipt | null {
  return parseReceipt(headers[RECEIPT_HEADER] ?? trailers[RECEIPT_HEADER]);
}

/** Adds the parts of one answer. @returns false where it has no receipt, and nothing was added */
export function addSplit(collector: Collector, rival: string, request: string, asked: Asked): boolean {
  const receipt = receiptOf(asked);
  if (receipt === null) return false;
  const why = [receipt.instance, receipt.cold].filter((word) => word !== null).join(', ');
  const common = {
    rival,
    unit: 'ms',
    better: 'less',
    each: why === '' ? 'one request' : `one request (${why})`,
  } as const;
  let inside = 0;
  for (const part of RECEIPT_PARTS) {
    const ms = receipt.parts[part];
    if (ms === undefined) continue;
    inside += ms;
    collector.add({ ...common, metric: `${request}${SEPARATOR}${part}` }, ms);
  }
  collector.add({ ...common, metric: `${request}${SEPARATOR}${OUTSIDE}` }, Math.max(0, asked.ms - inside));
  if (receipt.memoryBytes !== null) {
    collector.add(
      { ...common, unit: 'MiB', metric: `${request}: memory of the guest, by the receipt` },
      receipt.memoryBytes / 2 ** 20,
    );
  }
  return true;
}

/** The request and the part that a metric's name stands for; null where it is no part of a receipt. */
export function splitMetric(metric: string): { readonly request: string; readonly part: string } | null {
  const at = metric.indexOf(SEPARATOR);
  return at < 0 ? null : { request: metric.slice(0, at), part: metric.slice(at + SEPARATOR.length) };
}
