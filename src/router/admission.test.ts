import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FissiumError } from '../errors.ts';
import { Admission, type Release } from './admission.ts';

const never = new AbortController().signal;

describe('Admission', () => {
  it('runs no more than the concurrency, in order, whatever comes and goes', async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('ask' as const) }),
      fc.record({ do: fc.constant('release' as const), which: fc.nat(5) }),
      fc.record({ do: fc.constant('leave' as const), which: fc.nat(5) }),
      fc.record({ do: fc.constant('limit' as const), concurrency: fc.integer({ min: 1, max: 4 }) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const admission = new Admission({ settings: { maxRequests: 20 } });
        const limits = { concurrency: 2, queue: 3 };
        const running: { id: number; release: Release }[] = [];
        const waiting: { id: number; controller: AbortController }[] = [];
        const admitted: number[] = [];
        const refused: { rightly: boolean; error: unknown }[] = [];
        const outcomes: Promise<void>[] = [];
        let next = 0;
        for (const one of steps) {
          if (one.do === 'ask') {
            const id = next++;
            const controller = new AbortController();
            const full =
              waiting.length >= limits.queue && (running.length >= limits.concurrency || waiting.length > 0);
            const pending = { id, controller };
            waiting.push(pending);
            const leave = (): void => {
              const at = waiting.indexOf(pending);
              if (at !== -1) waiting.splice(at, 1);
            };
            outcomes.push(
              admission.acquire('ns', 'f', { ...limits }, controller.signal).then(
                (release) => {
                  leave();
                  admitted.push(id);
                  running.push({ id, release });
                },
                (error: unknown) => {
                  leave();
                  refused.push({ rightly: full || controller.signal.aborted, error });
                },
              ),
            );
          } else if (one.do === 'release') {
            const [done] = running.splice(one.which, 1);
            done?.release();
            done?.release();
          } else if (one.do === 'leave') {
            waiting[one.which]?.controller.abort(new FissiumError('CLIENT_GONE', 'gone'));
          } else {
            limits.concurrency = one.concurrency;
            admission.update('ns', 'f', { ...limits });
          }
          await new Promise(setImmediate);
          expect(admission.requests).toBe(running.length + waiting.length);
          expect(waiting.length).toBeLessThanOrEqual(limits.queue);
          expect(waiting.length === 0 || running.length >= limits.concurrency).toBe(true);
        }
        expect(admitted).toEqual(admitted.toSorted((a, b) => a - b));
        for (const { controller } of waiting.slice())
          controller.abort(new FissiumError('CLIENT_GONE', 'gone'));
        for (const { release } of running) release();
        await Promise.all(outcomes);
        expect(admission.requests).toBe(0);
        expect([...admission.loads()]).toEqual([]);
        expect(refused.every(({ rightly, error }) => rightly && error instanceof FissiumError)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('refuses those who wait for a function that goes', async () => {
    const admission = new Admission();
    const limits = { concurrency: 1, queue: 5 };
    const release = await admission.acquire('ns', 'f', limits, never);
    const waiting = admission.acquire('ns', 'f', limits, never);
    admission.refuseAll('ns', 'f', new FissiumError('FUNCTION_NOT_FOUND', 'deleted'));
    await expect(waiting).rejects.toMatchObject({ code: 'FUNCTION_NOT_FOUND' });
    release();
    expect(admission.requests).toBe(0);
  });

  it('counts functions apart and the platform together', async () => {
    const admission = new Admission({ settings: { maxRequests: 2 } });
    const limits = { concurrency: 1, queue: 0 };
    await admission.acquire('ns', 'f', limits, never);
    await expect(admission.acquire('ns', 'f', limits, never)).rejects.toMatchObject({
      code: 'FUNCTION_BUSY',
    });
    await admission.acquire('ns', 'g', limits, never);
    await expect(admission.acquire('ns', 'h', limits, never)).rejects.toMatchObject({
      code: 'PLATFORM_BUSY',
    });
    expect([...admission.loads()].map(({ name, running }) => [name, running])).toEqual([
      ['f', 1],
      ['g', 1],
    ]);
  });
});
