import type { JsonObject } from './json.ts';

/** One printed column of a kind's Table; either `jsonPath` or `cell` says where its cells come from. */
export interface ColumnInfo {
  readonly name: string;
  /** An OpenAPI type, or `date` for an RFC 3339 time that is printed as an age. */
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  readonly format?: string;
  readonly description?: string;
  /** 0 is always shown, more only by `-o wide`. @default 0 */
  readonly priority?: number;
  /** As in a CRD's printer column, from the root of the object: `.status.phase`. */
  readonly jsonPath?: string;
  /** For what a path cannot say, such as a count. Gets the whole object and the time to count ages from. */
  readonly cell?: (object: JsonObject, nowMs: number) => unknown;
}

/** All that the generic API needs to know of one kind of object. */
export interface KindInfo {
  /** '' is the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly namespaced: boolean;
  readonly listKind: string;
  readonly verbs: readonly string[];
  readonly categories: readonly string[];
  /** Whether `/status` is a subresource. */
  readonly hasStatus: boolean;
  /** Printed columns. A `Name` column is put first unless one is given; an empty list prints Name and Age. */
  readonly columns: readonly ColumnInfo[];
  /** OpenAPI v3 schema of the whole object; `apiVersion`, `kind`, `metadata` may be left out. */
  readonly schema: JsonObject;
  /** Fields beside metadata.name and metadata.namespace that a field selector may name. */
  readonly selectableFields?: readonly string[];
}

/** `v1` for the core group, else `group/version`. */
export function apiVersionOf(kind: Pick<KindInfo, 'group' | 'version'>): string {
  return kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;
}
