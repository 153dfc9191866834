import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KINDS } from '../src/api/index.ts';
import { functionObjects, PoolCluster, type ClusterOptions } from './pool-cluster.ts';

const NOTHING: ClusterOptions = {
  kubeconfig: undefined,
  router: undefined,
  image: undefined,
  code: undefined,
  container: undefined,
};

describe('functions for pools', () => {
  let folder = '';
  let code = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fissium-bench-pools-'));
    code = join(folder, 'hello.py');
    await writeFile(code, 'def main():\n    return "Hello"\n');
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it.for(['poolmgr', 'newdeploy', 'container'] as const)('are what the API takes: %s', (executor) => {
    const options = { ...NOTHING, image: 'python', code, container: 'registry/image' };
    const objects = functionObjects(executor, 'bench-1', 'bench', options);
    expect(objects.map(([{ kind }]) => kind)).toEqual(
      executor === 'container' ? ['Function'] : ['Package', 'Function'],
    );
    for (const [type, object] of objects) {
      const kind = KINDS.find(({ kind: name }) => name === type.kind);
      expect(kind?.validate(object), type.kind).toEqual([]);
    }
  });

  it('need a cluster, and say what to give', async () => {
    await expect(PoolCluster.open(NOTHING)).rejects.toThrow('needs a cluster: --kubeconfig FILE');
  });
});
