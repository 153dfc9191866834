/** The images that the suite brings along run as pods are to be run: not as root, with a root file system that is read only. */
import { expect, test } from 'vitest';
import { images } from '../support/install.ts';
import { apply, kubectl, type AnyObject } from '../support/kubectl.ts';
import { newNamespace } from '../support/namespace.ts';
import { podUrl } from '../support/reach.ts';
import { eventually, readyPods } from '../support/wait.ts';

interface Container {
  readonly image: string;
  readonly args?: readonly string[];
  readonly port?: number;
}

function pod(name: string, namespace: string, { image, args, port }: Container): AnyObject {
  const probe = port === undefined ? {} : { readinessProbe: { tcpSocket: { port }, periodSeconds: 1 } };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { app: name } },
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 1,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'main',
          image,
          imagePullPolicy: 'IfNotPresent',
          ...(args && { args }),
          ...probe,
          securityContext: {
            readOnlyRootFilesystem: true,
            allowPrivilegeEscalation: false,
            capabilities: { drop: ['ALL'] },
          },
          volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
        },
      ],
      volumes: [{ name: 'tmp', emptyDir: {} }],
    },
  };
}

test('fissium says its version', async () => {
  const namespace = await newNamespace();
  await apply(pod('version', namespace, { image: images.fissium, args: ['version', '--client'] }));
  await eventually('the pod has ended', async () => {
    const phase = await kubectl('get', 'pod', 'version', '-n', namespace, '-o', 'jsonpath={.status.phase}');
    return phase === 'Succeeded' || phase === 'Failed';
  });
  expect(await kubectl('logs', '-n', namespace, 'version')).toMatch(/\d+\.\d+\.\d+/);
});

test.for([
  { runtime: 'python', image: images.python },
  { runtime: 'node', image: images.node },
])('the $runtime runtime answers', async ({ runtime, image }) => {
  const namespace = await newNamespace();
  await apply(pod(runtime, namespace, { image, port: 8888 }));
  await readyPods(namespace, `app=${runtime}`, 1);
  const answer = await fetch(`${await podUrl(namespace, runtime, 8888)}/healthz`);
  expect(answer.status).toBe(200);
});
