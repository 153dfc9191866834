import { afterEach, expect, it, vi } from 'vitest';
import { Endpoint } from './endpoint.ts';

afterEach(() => vi.useRealTimers());

it('forgets what it has refused when nobody heeds that any more', () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const endpoint = new Endpoint('ns/pod', 'http://127.0.0.1:9');
  for (let i = 0; i < 10; i++) endpoint.refused(`gone-${i}`);
  vi.advanceTimersByTime(59_000);
  endpoint.refused('later');
  expect(endpoint.refusalCount).toBe(11);
  expect(endpoint.refuses('gone-0', true, performance.now())).toBe(true);
  vi.advanceTimersByTime(1_000);
  endpoint.refused('last');
  expect(endpoint.refusalCount).toBe(2);
  expect(endpoint.refuses('gone-0', true, performance.now())).toBe(false);
  expect(endpoint.refuses('later', true, performance.now())).toBe(true);
  endpoint.close();
});
