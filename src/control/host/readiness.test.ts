import { pino } from 'pino';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import type { FissionFunction } from '../../api/index.ts';
import { fn } from '../testing/platform.ts';
import { HostReadiness } from './readiness.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** Of a host that does not serve what others do. */
function make(): HostReadiness {
  const object: FissionFunction = {
    ...fn('hello'),
    status: {
      conditions: [
        {
          type: 'Ready',
          status: 'True',
          reason: 'Deployed',
          message: '',
          lastTransitionTime: '',
        },
      ],
    },
  };
  return new HostReadiness({
    functions: { keys: () => ['default/hello'], getByKey: () => object },
    table: { get: () => undefined },
    logger: pino({ level: 'silent' }),
  });
}

it('leaves no timer behind where it is closed while it waits', async () => {
  const readiness = make();
  const served = readiness.served();
  expect(vi.getTimerCount()).toBe(1);
  readiness.close();
  await served;
  expect(vi.getTimerCount()).toBe(0);
});

it('does not begin to wait after it was closed', async () => {
  const readiness = make();
  readiness.close();
  await readiness.served();
  expect(vi.getTimerCount()).toBe(0);
});
