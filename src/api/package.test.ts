import { describe, expect, it } from 'vitest';
import { resolveEnvironment, resolvePackage } from './index.ts';
import type { Package } from './index.ts';
import { environmentKind } from './environment.ts';
import { packageKind } from './package.ts';
import { environment, pkg } from './testing/examples.ts';

const messages = (spec: Partial<Package['spec']>): string[] =>
  packageKind.validate(pkg(spec)).map(({ path, message }) => `${path} ${message}`);
const SUM = 'A'.repeat(64);

describe('resolvePackage', () => {
  it('gives the bytes of a literal, whatever its type says', () => {
    const { deployment, source } = resolvePackage(
      pkg({
        deployment: { literal: 'aGVs\nbG8=', checksum: { type: 'sha256', sum: SUM } },
        source: { type: 'literal', checksum: {} },
      }),
    );
    expect(deployment?.type).toBe('literal');
    expect(Buffer.from(deployment?.literal ?? []).toString()).toBe('hello');
    expect(deployment?.checksum).toEqual({ type: 'sha256', sum: SUM.toLowerCase() });
    expect(source).toBeNull();
  });

  it('gives urls and images', () => {
    expect(resolvePackage(pkg({ deployment: { url: 'http://storage/v1/archive?id=1' } })).deployment).toEqual(
      {
        type: 'url',
        url: 'http://storage/v1/archive?id=1',
      },
    );
    const oci = { image: 'ghcr.io/a/b', subPath: 'code/', imagePullSecrets: [{ name: 's' }, { name: '' }] };
    const resolved = resolvePackage(pkg({ deployment: { oci } }));
    expect(resolved.deployment?.oci).toMatchObject({
      image: 'ghcr.io/a/b',
      subPath: 'code/',
      imagePullSecrets: ['s'],
    });
    expect(resolved.notServed).toEqual(['spec.deployment.oci']);
  });

  it('takes an empty build status for pending', () => {
    expect(resolvePackage(pkg()).buildStatus).toBe('pending');
    expect(resolvePackage({ ...pkg(), status: { buildstatus: '' } }).buildStatus).toBe('pending');
    expect(resolvePackage({ ...pkg(), status: { buildstatus: 'none' } }).buildStatus).toBe('none');
  });
});

describe('checks', () => {
  it.each<[Partial<Package['spec']>, string]>([
    [{ environment: {} }, 'spec.environment.name is required'],
    [
      { environment: { name: 'wasm', namespace: 'x' } },
      "spec.environment.namespace must be the object's own",
    ],
    [{ deployment: { literal: '###' } }, 'spec.deployment.literal must be base64'],
    [{ deployment: { literal: 'a' } }, 'spec.deployment.literal must be base64'],
    [{ deployment: { url: 'a.wasm' } }, 'spec.deployment.url must be an absolute URL'],
    [
      { deployment: { literal: 'aGVsbG8=', url: 'http://a' } },
      'spec.deployment must have one of literal, url and oci, but has literal and url',
    ],
    [{ deployment: { type: 'oci' } }, 'spec.deployment.oci is required'],
    [
      { deployment: { oci: { image: 'a', subPath: '/a' } } },
      'spec.deployment.oci.subPath must be a relative folder',
    ],
    [
      { deployment: { oci: { image: 'a', subPath: 'a/../b' } } },
      'spec.deployment.oci.subPath must be a relative folder',
    ],
    [{ source: { oci: { image: 'a' } } }, 'spec.source.oci is for the deployment archive only'],
    [
      { source: { checksum: { type: 'md5', sum: 'a' } } },
      'spec.source.checksum.type must be sha256, but is "md5"',
    ],
    [
      { source: { checksum: { type: 'sha256', sum: 'abc' } } },
      'spec.source.checksum.sum must be the 64 hex digits',
    ],
  ])('refuse %j', (spec, message) => {
    expect(messages(spec)[0]).toContain(message);
  });

  it('allow a literal of 256 KiB and not a byte more', () => {
    const literal = (bytes: number) =>
      messages({ deployment: { literal: Buffer.alloc(bytes).toString('base64') } });
    expect(literal(256 * 1024)).toEqual([]);
    expect(literal(256 * 1024 + 1)[0]).toContain('must be 256 KiB at most');
    expect(literal(1024 * 1024)[0]).toContain('must be 256 KiB at most');
  });
});

describe('resolveEnvironment', () => {
  it('knows Wasm by its image, exactly', () => {
    expect(resolveEnvironment(environment())).toMatchObject({
      wasm: true,
      image: 'wasm',
      poolSize: 0,
      terminationGracePeriodMs: 90_000,
      builder: null,
      notServed: [],
    });
    const python = resolveEnvironment(
      environment({
        runtime: { image: 'wasm:3' },
        poolsize: 3,
        terminationGracePeriod: 0,
        builder: { image: 'b' },
      }),
    );
    expect(python).toMatchObject({
      wasm: false,
      poolSize: 3,
      terminationGracePeriodMs: 0,
      builder: { image: 'b', command: '', env: [] },
    });
    expect(python.notServed).toEqual(['spec.runtime.image']);
  });

  it('refuses pods that reach for the node, and a runtime container under another name', () => {
    const podspec = { containers: [{ name: 'x', image: 'wasm' }], serviceAccountName: 'admin' };
    const container = { securityContext: { capabilities: { add: ['NET_BIND_SERVICE', 'SYS_ADMIN'] } } };
    const errors = environmentKind.validate(environment({ runtime: { image: 'wasm', podspec, container } }));
    expect(errors.map(({ path }) => path)).toEqual([
      'spec.runtime.podspec.serviceAccountName',
      'spec.runtime.container.securityContext.capabilities.add[1]',
      'spec.runtime.podspec.containers[0].name',
    ]);
  });
});
