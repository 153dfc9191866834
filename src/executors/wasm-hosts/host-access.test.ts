import { describe, expect, it } from 'vitest';

import { environmentRole, hostRole } from './host-access.ts';

describe('what Wasm hosts may read', () => {
  it('is the secrets and config maps that functions name, and no others', () => {
    const { rules } = hostRole('team', { secrets: ['b', 'a'], configMaps: ['c'] });
    const core = rules.filter(({ apiGroups }) => apiGroups.includes(''));
    expect(core.map(({ resources, resourceNames }) => [resources, resourceNames])).toEqual([
      [['secrets'], ['a', 'b']],
      [['configmaps'], ['c']],
    ]);
    expect(new Set(rules.flatMap(({ verbs }) => verbs))).toEqual(new Set(['get', 'list', 'watch']));
  });

  it('has no rule without names where functions name nothing: that would be all of them', () => {
    const { rules } = hostRole('team', { secrets: [], configMaps: [] });
    expect(rules.filter(({ apiGroups }) => apiGroups.includes(''))).toEqual([]);
  });

  it('of another namespace is the one environment', () => {
    const { metadata, rules } = environmentRole({ namespace: 'shared', name: 'wasm' }, 'team');
    expect(metadata.namespace).toBe('shared');
    expect(rules).toMatchObject([{ resources: ['environments'], resourceNames: ['wasm'] }]);
  });
});
