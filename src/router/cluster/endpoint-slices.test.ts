import { describe, expect, it } from 'vitest';

import { readyAddresses } from './endpoint-slices.ts';

const pod = (name: string) => ({ kind: 'Pod', namespace: 'ns', name });

describe('readyAddresses', () => {
  it('takes what is ready, or does not say, at the port named http', () => {
    const slice = {
      metadata: { name: 's' },
      addressType: 'IPv4' as const,
      ports: [
        { name: 'internal', port: 8889 },
        { name: 'http', port: 8888 },
      ],
      endpoints: [
        { addresses: ['10.0.0.1'], conditions: { ready: true }, targetRef: pod('a') },
        { addresses: ['10.0.0.2'], conditions: { ready: false }, targetRef: pod('b') },
        { addresses: ['10.0.0.3'], targetRef: pod('c') },
        { addresses: [], conditions: { ready: true } },
      ],
    };
    expect(readyAddresses(slice)).toEqual([
      { key: 'ns/a', origin: 'http://10.0.0.1:8888' },
      { key: 'ns/c', origin: 'http://10.0.0.3:8888' },
    ]);
  });

  it('writes IPv6 addresses in brackets, takes the only port, and the address where there is no pod', () => {
    const slice = {
      metadata: { name: 's' },
      addressType: 'IPv6' as const,
      ports: [{ name: 'http-env', port: 80 }],
      endpoints: [{ addresses: ['fd00::1'] }],
    };
    expect(readyAddresses(slice)).toEqual([{ key: 'fd00::1', origin: 'http://[fd00::1]:80' }]);
    expect(readyAddresses({ metadata: { name: 's' } })).toEqual([]);
    // As the API server writes those of a Service without pods.
    expect(readyAddresses({ metadata: { name: 's' }, endpoints: null, ports: null })).toEqual([]);
  });
});
