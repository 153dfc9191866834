import { describe, expect, it } from 'vitest';
import { createWasiHost, Egress } from '../wasi/index.ts';
import { checkImports, findHandler, LINKED_INTERFACES } from './interfaces.ts';

describe('the interfaces that prepare takes', () => {
  it('are those that the WASI host links', () => {
    const host = createWasiHost({
      context: {
        request: {
          id: 'test',
          method: 'GET',
          scheme: 'http',
          authority: 'example.test',
          pathWithQuery: '/',
          headers: [],
          body: null,
        },
        response: { head: () => undefined, write: () => Promise.resolve(), end: () => undefined },
        log: () => undefined,
        signal: new AbortController().signal,
        turn: { life: 1, take: () => Promise.resolve(), release: () => undefined, suspendable: () => false },
        receipt: null,
      },
      grants: { env: [], args: [], allowedOutboundHosts: [] },
      limits: { memoryBytes: 1, cpuTimeMs: 1, bodyLimitBytes: 1 },
      egress: new Egress([]),
    });
    expect([...LINKED_INTERFACES].sort()).toEqual(Object.keys(host.imports).sort());
    host.close();
  });

  it('are taken in any 0.2.x, drafts where there is no release', () => {
    checkImports(['wasi:io/poll@0.2.0', 'wasi:io/poll@0.2.99', 'wasi:config/store@0.2.0-rc.1']);
    for (const name of [
      'wasi:io/poll@0.3.0',
      'wasi:io/poll',
      'wasi:io/poll@0.2.0-rc-2023-11-10',
      'wasi:io/pull@0.2.0',
    ]) {
      expect(() => checkImports(['wasi:io/poll@0.2.0', name])).toThrow(JSON.stringify(name));
    }
  });
});

describe('the handler', () => {
  it('is found beside other exports', () => {
    expect(findHandler(['wasi:cli/run@0.2.0', 'wasi:http/incoming-handler@0.2.3'])).toBe(
      'wasi:http/incoming-handler@0.2.3',
    );
  });

  it.each([
    [['wasi:http/incoming-handler@0.3.0'], /a version that is not supported/],
    [['wasi:http/incoming-handler'], /a version that is not supported/],
    [['wasi:http/handler@0.3.0-rc-2026-03-15'], /WASI 0\.3/],
    [['wasi:cli/run@0.2.0'], /is a command/],
    [[], /it exports nothing/],
  ])('%j is refused', (exports, message) => {
    expect(() => findHandler(exports)).toThrow(message);
  });
});
