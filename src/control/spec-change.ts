import { isDeepStrictEqual } from 'node:util';

import type { KubeObject } from '../kube/index.ts';
import type { WatchedKind } from './watched.ts';

export type Change = 'add' | 'update' | 'delete';

/**
 * Changes that can matter to a reconciler: not those of status and labels, or a reconciler's own status write
 * would call it again. Annotations count, because `spec.wasm` may be given as annotations.
 */
export function onSpecChange<T extends KubeObject>(
  kind: WatchedKind<T>,
  listener: (object: T, change: Change) => void,
): void {
  kind.onChange({
    add: (object: T) => listener(object, 'add'),
    update: (object: T, before: T) => {
      const is = object.metadata;
      const was = before.metadata;
      const matters =
        is.generation !== was.generation ||
        is.deletionTimestamp !== was.deletionTimestamp ||
        !isDeepStrictEqual(is.annotations, was.annotations);
      if (matters) listener(object, 'update');
    },
    delete: (object: T) => listener(object, 'delete'),
  });
}

/** Changes of what a secret or config map holds. */
export function onDataChange<T extends KubeObject & { readonly data?: object; readonly binaryData?: object }>(
  kind: WatchedKind<T>,
  listener: (object: T) => void,
): void {
  kind.onChange({
    add: listener,
    update: (object, before) => {
      const isSame =
        isDeepStrictEqual(object.data, before.data) &&
        isDeepStrictEqual(object.binaryData, before.binaryData);
      if (!isSame) listener(object);
    },
    delete: listener,
  });
}
