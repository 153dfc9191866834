import { describe, expect, it } from 'vitest';

import { runtimeOf } from './images.ts';

describe('runtimeOf', () => {
  it.each([
    ['fission/python-env', 'python'],
    ['fission/python-env:3.9', 'python'],
    ['ghcr.io/fission/python-env-3.12', 'python'],
    ['ghcr.io/fission/python-env-debian:latest', 'python'],
    ['registry:5000/team/fissium-python@sha256:00', 'python'],
    ['python:3.12-alpine', 'python'],
    ['fission/node-env', 'node'],
    ['ghcr.io/fission/node-env-22:v1', 'node'],
    ['localhost:5000/nodejs-env-debian', 'node'],
    ['ghcr.io/fission/python-fastapi-env', null],
    ['ghcr.io/fission/go-env-1.23', null],
    ['node-exporter', null],
    ['python/other', null],
    ['wasm', null],
    ['', null],
  ])('%s is %s', (image, runtime) => {
    expect(runtimeOf(image)).toBe(runtime);
  });
});
