import type { FieldError } from '../../api/index.ts';
import type { KindInfo } from '../formats/kind-info.ts';
import type { NameRule } from '../names.ts';
import type { KubeObject } from '../object.ts';
import type { Cause } from '../status.ts';
import type { View } from '../views/view.ts';

/** All that this server knows of one resource: what differs between resources is here and nowhere else. */
export interface ResourceKind extends KindInfo {
  /** The stored resource, e.g. `functions.fission.io`. */
  readonly id: string;
  /**
   * Behaves as a CustomResourceDefinition's resource does: no strategic merge patch, no update without a
   * resourceVersion, a generation.
   */
  readonly custom: boolean;
  readonly nameRule: NameRule;
  /** Its objects are not stored: they are told from others, and read-only. */
  readonly view?: View;
  /** How long an object lives after its last change. @default for ever */
  readonly ttlMs?: number;
  /** Everything wrong with the object, unknown fields included. Never throws. */
  validate(object: unknown): readonly FieldError[];
  /** What is wrong with this change. */
  validateUpdate(stored: KubeObject, object: KubeObject): readonly Cause[];
  /** The object as it is stored: write-only fields folded in, what the kind always has set. */
  normalise(object: KubeObject): KubeObject;
}
