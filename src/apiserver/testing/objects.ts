/** For the tests beside the sources: a store in a temporary folder, and objects to put into it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ResourceKind } from '../kinds/resource-kind.ts';
import type { KubeObject, ObjectKey, ObjectMeta } from '../object.ts';
import { resourceById } from '../resources.ts';
import { Store, type StoreOptions } from '../store/store.ts';

export interface TemporaryStore extends Disposable {
  readonly store: Store;
  readonly folder: string;
  /** Closes the store and opens it again. */
  reopen(options?: Omit<StoreOptions, 'path'>): Store;
}

export function temporaryStore(options: Omit<StoreOptions, 'path'> = {}): TemporaryStore {
  const folder = mkdtempSync(join(tmpdir(), 'fissium-store-'));
  const path = join(folder, 'state.db');
  let store = new Store({ ...options, path });
  return {
    get store() {
      return store;
    },
    folder,
    reopen(again = options) {
      store.close();
      store = new Store({ ...again, path });
      return store;
    },
    [Symbol.dispose]() {
      store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export const keyOf = (name: string, namespace = 'default', resource = 'configmaps'): ObjectKey => ({
  resource,
  namespace,
  name,
});

export function configMap(
  name: string,
  data: Record<string, string> = {},
  metadata: Partial<ObjectMeta> = {},
): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: 'default', uid: `uid-${name}`, ...metadata },
    data,
  };
}

/** The resource of a test, which there must be. */
export function resource(id: string): ResourceKind {
  const kind = resourceById(id);
  if (kind === undefined) throw new Error(`no resource ${id}`);
  return kind;
}
