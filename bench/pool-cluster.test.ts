import { describe, expect, it } from 'vitest';
import { KINDS } from '../src/api/index.ts';
import { PoolCluster, type ClusterOptions } from './pool-cluster.ts';
import { environmentObject, functionObjects, VARIANTS } from './pool-functions.ts';

const NOTHING: ClusterOptions = {
  kubeconfig: undefined,
  router: undefined,
  images: { python: undefined, node: undefined },
  runs: undefined,
};
const images = { python: 'registry/python', node: 'registry/node' };

describe('functions for pools', () => {
  it.for(VARIANTS.map((variant) => [variant.name, variant] as const))(
    'are what the API takes: %s',
    ([, variant]) => {
      const environment = environmentObject('bench', variant, images);
      const objects = functionObjects({
        name: 'bench-1',
        environment: 'bench',
        variant,
        images,
        minScale: 1,
      });
      expect(objects.map(([{ kind }]) => kind)).toEqual(
        variant.executor === 'container'
          ? ['Function', 'HTTPTrigger']
          : ['Package', 'Function', 'HTTPTrigger'],
      );
      expect(environment === undefined).toBe(variant.executor === 'container');
      for (const [type, object] of [...objects, ...(environment === undefined ? [] : [environment])]) {
        const kind = KINDS.find(({ kind: name }) => name === type.kind);
        expect(kind?.validate(object), type.kind).toEqual([]);
      }
    },
  );

  it('need a cluster, and say what to give', async () => {
    await expect(PoolCluster.open(NOTHING)).rejects.toThrow('needs a cluster: --kubeconfig FILE');
  });
});
