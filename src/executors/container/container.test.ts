import { describe, expect, it } from 'vitest';

import { functionOnCluster } from '../testing/functions.ts';
import { userPod } from './container-pod.ts';

const pod = (podspec: Record<string, unknown>, spec: object = {}) =>
  userPod(
    functionOnCluster({ strategy: 'container', environment: null, spec: { podspec, ...spec } }).resolved,
  );

describe('the pod of executor container', () => {
  it('is the user’s, with what the function adds', () => {
    expect(
      pod(
        {
          terminationGracePeriodSeconds: 9,
          volumes: [{ name: 'cache', emptyDir: {} }],
          containers: [
            {
              name: 'web',
              image: 'nginx:1',
              command: ['nginx'],
              args: ['-g', 'daemon off;'],
              ports: [{ containerPort: 8080 }],
              env: [{ name: 'A', value: '0' }],
              volumeMounts: [{ name: 'cache', mountPath: '/cache' }],
              securityContext: { runAsUser: 101 },
              resources: { requests: { cpu: '50m' }, limits: { memory: '64Mi' } },
            },
            { name: 'side', image: 'side:1' },
          ],
        },
        {
          secrets: [{ name: 'key' }],
          configmaps: [{ name: 'settings', mountPath: 'conf' }],
          env: [{ name: 'A', value: '1' }],
          resources: { limits: { memory: '128Mi' } },
        },
      ),
    ).toEqual({
      answering: { container: 'web', port: 8080 },
      pod: {
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
        terminationGracePeriodSeconds: 9,
        volumes: [
          { name: 'cache', emptyDir: {} },
          { name: 'secret-key-0', secret: { secretName: 'key', defaultMode: 0o755 } },
          { name: 'config-settings-1', configMap: { name: 'settings', defaultMode: 0o755 } },
        ],
        containers: [
          {
            name: 'web',
            image: 'nginx:1',
            command: ['nginx'],
            args: ['-g', 'daemon off;'],
            ports: [{ containerPort: 8080 }],
            env: [{ name: 'A', value: '1' }],
            // Fission's older way; with a mountPath it is a file only.
            envFrom: [{ secretRef: { name: 'key' } }],
            volumeMounts: [
              { name: 'cache', mountPath: '/cache' },
              { name: 'secret-key-0', mountPath: '/secrets/default/key', readOnly: true },
              { name: 'config-settings-1', mountPath: '/configs/conf', readOnly: true },
            ],
            securityContext: { allowPrivilegeEscalation: false, runAsUser: 101 },
            resources: { requests: { cpu: '50m' }, limits: { memory: '128Mi' } },
            readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
            lifecycle: { preStop: { sleep: { seconds: 5 } } },
            terminationMessagePolicy: 'FallbackToLogsOnError',
          },
          { name: 'side', image: 'side:1' },
        ],
      },
    });
  });

  it('keeps the user’s own probe and hook, and lets a call that was begun finish', () => {
    const own = {
      readinessProbe: { httpGet: { path: '/', port: 80 } },
      lifecycle: { preStop: { exec: {} } },
    };
    const made = pod(
      { containers: [{ image: 'a', ports: [{ containerPort: 80 }], ...own }] },
      { functionTimeout: 30 },
    ).pod;
    expect(made.containers[0]).toMatchObject({ name: 'hello', ...own });
    expect(made.terminationGracePeriodSeconds).toBe(35);
  });

  it.each([
    [{}, 'spec.podspec.containers must have a first container'],
    [{ containers: [{ name: 'a' }] }, 'with an image'],
    [{ containers: [{ image: 'a' }] }, 'spec.podspec.containers[0].ports is empty'],
  ])('is refused where nobody answers: %j', (podspec, message) => {
    expect(() => pod(podspec)).toThrow(message);
  });
});
