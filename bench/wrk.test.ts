import { describe, expect, it } from 'vitest';
import { disagreement, parseWrk } from './wrk.ts';

const PRINTED = `Running 3s test @ http://127.0.0.1:1/
  1 threads and 50 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.75ms  744.92us  30.62ms   78.83%
  84183 requests in 3.03s, 16.07MB read
`;

describe('wrk', () => {
  it('is read', () => {
    expect(parseWrk(`${PRINTED}Requests/sec:  27772.48\nTransfer/sec:      5.30MB\n`)).toBe(27_772.48);
  });

  it('has no figure where answers were no success, or none came', () => {
    expect(parseWrk(`${PRINTED}  Non-2xx or 3xx responses: 7\nRequests/sec:  27772.48\n`)).toBeNull();
    expect(parseWrk('unable to connect')).toBeNull();
  });

  it('disagrees beyond a quarter, whichever is more', () => {
    expect(disagreement(1000, 760)).toBeNull();
    expect(disagreement(1000, 740)).toContain('wrk counted 1000');
    expect(disagreement(740, 1000)).toContain('our generator 1000');
  });
});
