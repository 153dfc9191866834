import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseReceipt } from './receipt.ts';

const WHOLE =
  'queue=0.01; specialise=0.00; instantiate=0.02; guest=0.10; host=0.03; wait=0.00; memory=1114112; instance=new; cold=first-request';

describe('a receipt', () => {
  it('is read', () => {
    expect(parseReceipt(WHOLE)).toEqual({
      parts: { queue: 0.01, specialise: 0, instantiate: 0.02, guest: 0.1, host: 0.03, wait: 0 },
      memoryBytes: 1_114_112,
      instance: 'new',
      cold: 'first-request',
    });
  });

  it('is read whatever its spaces, its case and what else it says', () => {
    const receipt = parseReceipt('Queue = 1ms ;future=x;; =;waiting=2 ms;instance="reset";cold=none');
    expect(receipt).toEqual({
      parts: { queue: 1, wait: 2 },
      memoryBytes: null,
      instance: 'reset',
      cold: null,
    });
  });

  it('has no figure where there is none', () => {
    expect(parseReceipt('queue=-1; guest=abc; host=1e999; memory=; instance=new')).toEqual({
      parts: {},
      memoryBytes: null,
      instance: 'new',
      cold: null,
    });
  });

  it.for([undefined, '', '1', 'nonsense', 'a=b; c=d', [] as string[]])('is absent in %j', (header) => {
    expect(parseReceipt(header)).toBeNull();
  });

  it('may come in several headers', () => {
    expect(parseReceipt(['queue=1', 'guest=2'])?.parts).toEqual({ queue: 1, guest: 2 });
  });

  it('takes anything', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const receipt = parseReceipt(text);
        for (const ms of Object.values(receipt?.parts ?? {})) expect(ms).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});
