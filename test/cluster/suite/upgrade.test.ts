/** `helm upgrade` of a running installation to another image, under load: nobody's request fails. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';
import { part } from '../parts/part.ts';
import { ownCluster } from '../support/components.ts';
import { deployWasm, pathOf, routerUrl } from '../support/functions.ts';
import { controlPlaneReady, images, INSTALLED_IN, installFissium } from '../support/install.ts';
import { type AnyObject, apply, kubectl, list, outcomeOf } from '../support/kubectl.ts';
import { startLoad } from '../support/load.ts';
import { newNamespace } from '../support/namespace.ts';
import { condition, eventually } from '../support/wait.ts';

const CHART = join(import.meta.dirname, '../../../charts/fissium');
const NEXT = `${images.fissium}-next`;
const PYTHON = 'def main():\n    return "python"\n';

beforeAll(installFissium);

/** The same image by another name, so that everything which runs it has to be replaced. */
async function nameAgain(state: string): Promise<void> {
  const where = ['-a', join(state, 'run/containerd.sock'), '-n', 'k8s.io'];
  const tag = ['images', 'tag', '--force', images.fissium, NEXT];
  await promisify(execFile)(join(part('node'), 'ctr'), [...where, ...tag]);
}

async function helm(image: string): Promise<void> {
  // What `fissium install` made becomes the release's.
  const args = `upgrade fissium ${CHART} --install --take-ownership --namespace ${INSTALLED_IN} --set image=${image}`;
  const { code, stderr } = await outcomeOf(join(part('helm'), 'helm'), args.split(' '));
  if (code !== 0) throw new Error(`helm upgrade ended with code ${code}: ${stderr}`);
}

interface Pod {
  readonly containers: readonly { readonly image?: string }[];
}

/** Whether a pod runs this image in some container. */
function runs({ spec }: AnyObject, image: string): boolean {
  return (spec as Pod).containers.some((container) => container.image === image);
}

async function pythonFunction(namespace: string): Promise<string> {
  const environment = { name: 'python', namespace };
  const metadata = { name: 'python', namespace };
  const literal = Buffer.from(PYTHON).toString('base64');
  await apply([
    {
      apiVersion: 'fission.io/v1',
      kind: 'Environment',
      metadata: environment,
      spec: {
        version: 3,
        poolsize: 1,
        runtime: { image: images.python },
        terminationGracePeriod: 20,
      },
    },
    {
      apiVersion: 'fission.io/v1',
      kind: 'Package',
      metadata,
      spec: { environment, deployment: { type: 'literal', literal } },
    },
    {
      apiVersion: 'fission.io/v1',
      kind: 'Function',
      metadata,
      spec: { environment, package: { packageref: metadata }, requestsPerPod: 20 },
    },
    {
      apiVersion: 'fission.io/v1',
      kind: 'HTTPTrigger',
      metadata,
      spec: {
        relativeurl: pathOf(namespace, 'python'),
        methods: ['GET'],
        functionref: { type: 'name', name: 'python' },
      },
    },
  ]);
  await condition('function', 'python', namespace, { type: 'Ready', status: 'True' });
  const url = `${await routerUrl()}${pathOf(namespace, 'python')}`;
  await eventually('an answer of Python', async () => (await (await fetch(url)).text()) === 'python');
  return url;
}

const own = ownCluster ?? '';
test.skipIf(own === '')(
  'routers, controllers and hosts are replaced, and no request fails',
  { timeout: 400_000 },
  async () => {
    await nameAgain(own);
    const namespace = await newNamespace();
    const wasm = await deployWasm({ name: 'hello', namespace });
    const python = await pythonFunction(namespace);
    await helm(images.fissium);
    await controlPlaneReady();

    const loads = [wasm, python].map((url) => startLoad(url, 4, 10));
    await eventually('the first answers', () =>
      Promise.resolve(loads.every(({ answered }) => answered > 20)),
    );
    await helm(NEXT);
    await controlPlaneReady();
    await eventually(
      'pods of the new image alone',
      async () => {
        const pods = [
          ...(await list('pods', INSTALLED_IN, 'app.kubernetes.io/name=fissium')),
          ...(await list('pods', namespace, 'fissium.io/part=wasm-host')),
          ...(await list('pods', namespace, 'managed=true')),
        ];
        return pods.length >= 6 && pods.every((pod) => runs(pod, NEXT) && !runs(pod, images.fissium));
      },
      200_000,
    );
    const results = await Promise.all(loads.map((load) => load.stop()));
    for (const { answered, failures } of results) {
      expect(failures).toEqual({});
      expect(answered).toBeGreaterThan(200);
    }

    // As it was, for the files of the suite that come after this one.
    await helm(images.fissium);
    await controlPlaneReady();
    expect(await kubectl('get', 'deployment', 'router', '-n', INSTALLED_IN, '-o', 'yaml')).not.toContain(
      NEXT,
    );
  },
);
