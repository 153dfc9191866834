/** That the cluster can do what the other suites rely on. */
import { describe, expect, test } from 'vitest';
import { ownCluster, startComponent, stopComponent } from '../support/components.ts';
import { apply, kubectl, tryKubectl } from '../support/kubectl.ts';
import { newNamespace } from '../support/namespace.ts';
import { eventually } from '../support/wait.ts';

test('is Kubernetes 1.32 or later', async () => {
  const { serverVersion } = JSON.parse(await kubectl('version', '-o', 'json')) as {
    serverVersion: { major: string; minor: string };
  };
  expect(serverVersion.major).toBe('1');
  expect(Number.parseInt(serverVersion.minor, 10)).toBeGreaterThanOrEqual(32);
});

test('says in an event that an image cannot be had', async () => {
  const namespace = await newNamespace();
  await apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'missing', namespace },
    spec: { containers: [{ name: 'main', image: 'localhost/no-such-image:1' }] },
  });
  const said = await eventually('an event of the pull that failed', async () => {
    const text = await kubectl('get', 'events', '-n', namespace);
    return text.includes('Failed') && text;
  });
  expect(said).toContain('Failed to pull image');
});

describe.skipIf(ownCluster === undefined)('parts of the control plane', () => {
  test('can be stopped and come back with all that they knew', async () => {
    const namespace = await newNamespace();
    await kubectl('create', 'configmap', 'kept', '-n', namespace);
    for (const component of ['kube-apiserver', 'etcd'] as const) {
      await stopComponent(component, 'KILL');
      const { code } = await tryKubectl(['get', 'cm', 'kept', '-n', namespace, '--request-timeout=3s']);
      expect(code).not.toBe(0);
      await startComponent(component);
      expect(await kubectl('get', 'cm', '-n', namespace)).toContain('kept');
    }
  });
});
