import { describe, expect, it } from 'vitest';

import { requestFromVariables } from '../../fetcher/contract.ts';
import { deploymentOf, serviceOf, versionOf, type Workload } from '../deployments/objects.ts';
import type { FunctionOnCluster } from '../strategy.ts';
import { functionOnCluster, type FunctionParts } from '../testing/functions.ts';
import { newdeployKind } from './index.ts';

const kind = newdeployKind({ image: 'fissium:1', serviceAccount: 'fissium-host' });

function workload(fn: FunctionOnCluster): Workload {
  const { object, environment } = fn;
  return {
    strategy: 'newdeploy',
    fn: object,
    environment: environment?.object ?? null,
    ...kind.pods(fn),
    revision: [],
  };
}
const of = (parts: Partial<FunctionParts> = {}): Workload =>
  workload(functionOnCluster({ strategy: 'newdeploy', ...parts }));

/** As the fetcher reads it. */
function requestOf({ pod }: Workload): unknown {
  const env = pod.containers[1]?.env ?? [];
  return JSON.parse(requestFromVariables(Object.fromEntries(env.map(({ name, value }) => [name, value]))));
}

describe('a function in a container environment', () => {
  it('has a Deployment with the runtime and the fetcher that loads the code', () => {
    const made = of({
      metadata: { labels: { team: 'a', functionUid: 'forged' } },
      spec: {
        secrets: [{ name: 'key' }],
        configmaps: [{ name: 'settings', mountPath: 'conf/main' }],
        env: [
          { name: 'A', value: '1' },
          { name: 'B', valueFrom: { secretKeyRef: { name: 'key', key: 'k' } } },
        ],
        envFrom: [{ configMapRef: { name: 'settings', optional: true }, prefix: 'S_' }],
        resources: { limits: { memory: '256Mi' }, requests: { cpu: 0 } },
        package: { packageref: { name: 'hello-pkg' }, functionName: 'main.handler' },
      },
      environment: {
        resources: { requests: { cpu: '100m' }, limits: { memory: '1Gi' } },
        imagepullsecret: 'registry',
        terminationGracePeriod: 20,
        runtime: {
          image: 'fission/python-env',
          container: { env: [{ name: 'A', value: '0' }] },
          podspec: { priorityClassName: 'low', containers: [{ name: 'python', workingDir: '/app' }] },
        },
      },
    });
    const labels = {
      team: 'a',
      environmentName: 'python',
      environmentNamespace: 'default',
      environmentUid: 'env-uid',
      executorType: 'newdeploy',
      functionName: 'hello',
      functionNamespace: 'default',
      functionUid: '11111111-2222-3333-4444-555555555555',
      'app.kubernetes.io/managed-by': 'fissium',
      'fissium.io/part': 'function',
    };
    expect(deploymentOf(made)).toEqual({
      metadata: {
        name: 'newdeploy-hello-default-4444-555555555555',
        namespace: 'default',
        labels,
        ownerReferences: [
          {
            apiVersion: 'fission.io/v1',
            kind: 'Function',
            name: 'hello',
            uid: '11111111-2222-3333-4444-555555555555',
            controller: true,
            blockOwnerDeletion: true,
          },
        ],
      },
      spec: {
        selector: {
          matchLabels: {
            functionUid: '11111111-2222-3333-4444-555555555555',
            executorType: 'newdeploy',
          },
        },
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: 0 } },
        minReadySeconds: 2,
        revisionHistoryLimit: 0,
        template: {
          metadata: { labels, annotations: { 'fissium.io/version': versionOf(made) } },
          spec: {
            automountServiceAccountToken: false,
            enableServiceLinks: false,
            securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
            terminationGracePeriodSeconds: 20,
            imagePullSecrets: [{ name: 'registry' }],
            priorityClassName: 'low',
            volumes: [
              { name: 'userfunc', emptyDir: {} },
              { name: 'fetcher-tmp', emptyDir: {} },
              { name: 'secret-key-0', secret: { secretName: 'key', defaultMode: 0o755 } },
              { name: 'config-settings-1', configMap: { name: 'settings', defaultMode: 0o755 } },
            ],
            containers: [
              {
                name: 'python',
                image: 'fission/python-env',
                workingDir: '/app',
                ports: [{ name: 'http-env', containerPort: 8888, protocol: 'TCP' }],
                resources: { limits: { memory: '256Mi' }, requests: { cpu: '100m' } },
                securityContext: { allowPrivilegeEscalation: false },
                lifecycle: { preStop: { sleep: { seconds: 5 } } },
                terminationMessagePolicy: 'FallbackToLogsOnError',
                env: [
                  { name: 'A', value: '1' },
                  { name: 'B', valueFrom: { secretKeyRef: { name: 'key', key: 'k' } } },
                ],
                envFrom: [{ prefix: 'S_', configMapRef: { name: 'settings', optional: true } }],
                volumeMounts: [
                  { name: 'userfunc', mountPath: '/userfunc' },
                  { name: 'secret-key-0', mountPath: '/secrets/default/key', readOnly: true },
                  { name: 'config-settings-1', mountPath: '/configs/conf/main', readOnly: true },
                ],
              },
              {
                name: 'fetcher',
                image: 'fissium:1',
                imagePullPolicy: 'IfNotPresent',
                args: [
                  'fetcher',
                  '-specialize-on-startup',
                  '-secret-dir',
                  '/tmp/secrets',
                  '-cfgmap-dir',
                  '/tmp/configs',
                  '/userfunc',
                ],
                env: [{ name: 'FISSIUM_SPECIALIZE_REQUEST_0', value: expect.any(String) as unknown }],
                ports: [{ name: 'http-fetcher', containerPort: 8000, protocol: 'TCP' }],
                readinessProbe: {
                  httpGet: { path: '/readiness-healthz', port: 8000 },
                  periodSeconds: 1,
                  timeoutSeconds: 2,
                  failureThreshold: 30,
                },
                livenessProbe: {
                  httpGet: { path: '/healthz', port: 8000 },
                  initialDelaySeconds: 1,
                  periodSeconds: 5,
                  timeoutSeconds: 2,
                },
                resources: { requests: { cpu: '10m', memory: '32Mi' } },
                securityContext: {
                  allowPrivilegeEscalation: false,
                  capabilities: { drop: ['ALL'] },
                  readOnlyRootFilesystem: true,
                  runAsGroup: 10_001,
                  runAsNonRoot: true,
                  runAsUser: 10_001,
                },
                volumeMounts: [
                  { name: 'userfunc', mountPath: '/userfunc' },
                  { name: 'fetcher-tmp', mountPath: '/tmp' },
                ],
                lifecycle: { preStop: { sleep: { seconds: 5 } } },
                terminationMessagePolicy: 'FallbackToLogsOnError',
              },
            ],
          },
        },
      },
    });
    expect(requestOf(made)).toEqual({
      FetchReq: {
        fetchType: 1,
        package: { namespace: 'default', name: 'hello-pkg', resourceVersion: '' },
        archive: {
          type: 'url',
          url: 'http://files/a.zip',
          checksum: { type: 'sha256', sum: 'a'.repeat(64) },
        },
        filename: 'deployarchive',
        secretList: [],
        configMapList: [],
        keeparchive: false,
      },
      LoadReq: {
        filepath: '/userfunc/deployarchive',
        functionName: 'main.handler',
        url: '',
        FunctionMetadata: {
          name: 'hello',
          namespace: 'default',
          uid: '11111111-2222-3333-4444-555555555555',
        },
        envVersion: 3,
      },
    });
  });

  it('has a Service of the pods, for whoever calls it', () => {
    expect(serviceOf(of()).spec).toEqual({
      type: 'ClusterIP',
      selector: { functionUid: '11111111-2222-3333-4444-555555555555', executorType: 'newdeploy' },
      ports: [{ name: 'http-env', port: 80, targetPort: 8888, protocol: 'TCP' }],
    });
  });

  it('gets other pods for another archive, and the same for the same', () => {
    expect(versionOf(of())).toBe(versionOf(of()));
    expect(versionOf(of({ url: 'http://files/b.zip' }))).not.toBe(versionOf(of()));
  });

  it('brings an archive that a Package holds in itself, whatever its size', () => {
    const literal = 'ü' + 'QUJD'.repeat(85_000);
    const fn = functionOnCluster({ strategy: 'newdeploy' });
    const made = workload({
      ...fn,
      pkg: fn.pkg && { ...fn.pkg, spec: { ...fn.pkg.spec, deployment: { type: 'literal', literal } } },
    });
    expect(requestOf(made)).toMatchObject({ FetchReq: { archive: { type: 'literal', literal } } });
    const lengths = made.pod.containers[1]?.env?.map(({ value = '' }) => Buffer.byteLength(value)) ?? [];
    expect(lengths.length).toBeGreaterThan(2);
    expect(Math.max(...lengths)).toBeLessThan(128 * 1024);
  });

  it('keeps to the names that version 1 of the interface knows', () => {
    const { pod } = of({ environment: { version: 1 } });
    expect(pod.containers[1]?.env?.[0]?.value).toContain('"filepath":"/userfunc/user"');
  });

  it('is refused where the runtime container has a name that the pod spec has not', () => {
    const runtime = { image: 'x', container: { name: 'main' }, podspec: { containers: [{ name: 'other' }] } };
    expect(() => of({ environment: { runtime } })).toThrow('spec.runtime.container.name is "main"');
  });

  it('runs in the container that the pod spec names so', () => {
    const runtime = {
      image: 'x',
      container: { name: 'main' },
      podspec: { containers: [{ name: 'main', tty: true }] },
    };
    const made = of({ environment: { runtime } });
    expect(made.mainContainer).toBe('main');
    expect(made.pod.containers.map(({ name }) => name)).toEqual(['main', 'fetcher']);
    expect(made.pod.containers[0]).toMatchObject({ image: 'x', tty: true });
  });
});

describe('a function in a Wasm environment', () => {
  const wasm = { runtime: { image: 'wasm' } };

  it('has hosts of its own', () => {
    const { pod, mainContainer, port } = of({
      environment: wasm,
      spec: { resources: { limits: { memory: '64Mi' } } },
    });
    expect({ mainContainer, port }).toEqual({ mainContainer: 'python', port: 8888 });
    expect(pod).toMatchObject({ serviceAccountName: 'fissium-host', volumes: [{ name: 'data' }] });
    expect(pod.containers).toHaveLength(1);
    expect(pod.containers[0]).toMatchObject({
      name: 'python',
      image: 'fissium:1',
      args: ['wasm-host'],
      resources: { requests: { memory: '256Mi' } },
      readinessProbe: { httpGet: { path: '/readyz', port: 8889 } },
    });
    expect(pod.containers[0]?.env?.filter(({ value }) => value !== undefined)).toEqual([
      { name: 'FISSIUM_ENVIRONMENT', value: 'default/python' },
      { name: 'FISSIUM_FUNCTION', value: 'hello' },
      { name: 'FISSIUM_DATA', value: '/data' },
    ]);
  });

  it('keeps its pods when its code changes: hosts bring a new version in by themselves', () => {
    expect(versionOf(of({ environment: wasm, url: 'http://files/b.zip' }))).toBe(
      versionOf(of({ environment: wasm })),
    );
  });
});
