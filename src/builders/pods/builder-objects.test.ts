import { describe, expect, it } from 'vitest';

import type { Environment } from '../../api/index.ts';
import { type BuilderObjectOptions, builderDeployment, builderKeys, builderName } from './builder-objects.ts';

const OPTIONS: BuilderObjectOptions = { image: 'localhost/fissium:dev', authSecret: null };

function environmentOf(
  builder: NonNullable<Environment['spec']['builder']>,
  spec: Partial<Environment['spec']> = {},
): Environment {
  return {
    apiVersion: 'fission.io/v1',
    kind: 'Environment',
    metadata: { namespace: 'team', name: 'python', uid: 'aaaaaaaa-0000-0000-0000-0000000000e1' },
    spec: { version: 3, runtime: { image: 'fission/python-env' }, builder, ...spec },
  };
}

function podOf(environment: Environment, options = OPTIONS) {
  const spec = builderDeployment(environment, options).spec.template.spec;
  const [builder, fetcher] = spec?.containers ?? [];
  if (spec === undefined || builder === undefined || fetcher === undefined) throw new Error('no pod');
  return { spec, builder, fetcher };
}

describe('the Deployment of a builder', () => {
  it("runs Fission's builder images as Fission does, with the fetcher beside them", () => {
    const environment = environmentOf({ image: 'fission/python-builder' });
    const deployment = builderDeployment(environment, OPTIONS);
    expect(deployment.metadata).toMatchObject({
      namespace: 'team',
      name: 'builder-python-team-000000e1',
      labels: {
        envName: 'python',
        envNamespace: 'team',
        owner: 'buildermgr',
        'fissium.io/part': 'builder',
        'app.kubernetes.io/managed-by': 'fissium',
      },
      ownerReferences: [{ kind: 'Environment', name: 'python', uid: environment.metadata.uid }],
    });
    expect(deployment.spec.template.metadata?.labels).toMatchObject(
      deployment.spec.selector.matchLabels ?? {},
    );
    const { spec, builder, fetcher } = podOf(environment);
    expect(builder).toMatchObject({
      name: 'builder',
      image: 'fission/python-builder',
      command: ['/builder', '/packages'],
      securityContext: { allowPrivilegeEscalation: false },
    });
    expect(fetcher).toMatchObject({
      name: 'fetcher',
      image: 'localhost/fissium:dev',
      securityContext: { runAsNonRoot: true, readOnlyRootFilesystem: true },
    });
    for (const { volumeMounts } of [builder, fetcher]) {
      expect(volumeMounts).toContainEqual({ name: 'packages', mountPath: '/packages' });
    }
    expect(spec.automountServiceAccountToken).toBe(false);
    expect(spec.serviceAccountName).toBeUndefined();
  });

  it('builds WebAssembly with the platform’s own image, locked down as ours are', () => {
    const { builder } = podOf(environmentOf({ image: 'wasm' }));
    expect(builder.image).toBe('localhost/fissium:dev');
    expect(builder.command).toBeUndefined();
    expect(builder.args).toEqual(['builder', '--toolchain', 'wasm', '/packages']);
    expect(builder.securityContext?.readOnlyRootFilesystem).toBe(true);
    const own = podOf(environmentOf({ image: 'reg:5000/x/fissium-python-builder:3.13' })).builder;
    expect(own.command).toEqual(['/builder', '/packages']);
    expect(own.securityContext?.runAsNonRoot).toBe(true);
    expect(own.volumeMounts).toContainEqual(expect.objectContaining({ mountPath: '/tmp' }));
  });

  it("lays the environment's container and podspec over it, but never another account", () => {
    const { spec, builder } = podOf(
      environmentOf(
        {
          image: 'b',
          container: { name: 'mine', env: [{ name: 'A', value: '1' }], command: ['/other'] },
          podspec: { nodeSelector: { disk: 'ssd' }, serviceAccountName: 'admin', containers: [] },
        },
        { imagepullsecret: 'pull' },
      ),
    );
    expect(builder).toMatchObject({
      name: 'builder',
      command: ['/other'],
      env: [{ name: 'A', value: '1' }],
    });
    expect(spec).toMatchObject({ nodeSelector: { disk: 'ssd' }, imagePullSecrets: [{ name: 'pull' }] });
    expect(spec.serviceAccountName).toBeUndefined();
    expect(() =>
      podOf(environmentOf({ image: 'b', podspec: { volumes: [{ name: 'packages', emptyDir: {} }] } })),
    ).toThrow(/spec\.builder\.podspec\.volumes has name "packages" twice/);
  });

  it('has another template only where its pods would differ', () => {
    const template = (environment: Environment): unknown =>
      builderDeployment(environment, OPTIONS).metadata.annotations?.['fissium.io/template'];
    const first = template(environmentOf({ image: 'b' }));
    expect(template(environmentOf({ image: 'b' }, { poolsize: 7 }))).toBe(first);
    expect(template(environmentOf({ image: 'c' }))).not.toBe(first);
  });

  it('gives each container only its own keys, and neither the secret', () => {
    const { builder, fetcher } = podOf(environmentOf({ image: 'b' }), { ...OPTIONS, authSecret: 'secret' });
    expect(builder.env?.map(({ name }) => name)).toEqual(['FISSION_BUILDER_KEY', 'FISSIUM_KEYS']);
    expect(fetcher.env?.map(({ name }) => name)).toEqual([
      'POD_NAMESPACE',
      'FISSION_FETCHER_KEY',
      'FISSION_STORAGE_KEY',
    ]);
    // Another secret needs other pods: they read their keys at their start.
    const mark = builder.env?.find(({ name }) => name === 'FISSIUM_KEYS')?.value;
    const other = podOf(environmentOf({ image: 'b' }), { ...OPTIONS, authSecret: 'other' }).builder.env;
    expect(other?.find(({ name }) => name === 'FISSIUM_KEYS')?.value).not.toBe(mark);
    const { data } = builderKeys('team', 'the secret');
    expect(new Set(Object.values(data)).size).toBe(3);
    expect(data).not.toEqual(builderKeys('other', 'the secret').data);
  });

  it('is named within 63 characters, without dots', () => {
    const environment = environmentOf({ image: 'b' });
    const metadata = { ...environment.metadata, name: `a.${'b'.repeat(60)}`, namespace: 'c'.repeat(60) };
    const name = builderName({ ...environment, metadata });
    expect(name).toMatch(/^[a-z0-9-]{1,63}$/);
  });
});
