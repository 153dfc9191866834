/** From rows of the tables in schema.ts to what they mean. */
import type { StatementSync } from 'node:sqlite';
import type { ObjectKey } from '../object.ts';
import { Revision, type Change } from './revision.ts';
import type { SQL } from './schema.ts';

export type Statements = Record<keyof typeof SQL, StatementSync>;

type Row = ReturnType<StatementSync['all']>[number];

export function keyOf(row: Row): ObjectKey {
  return {
    resource: String(row['resource']),
    namespace: String(row['namespace']),
    name: String(row['name']),
  };
}

export function revisionOf(row: Row): Revision {
  return new Revision(Number(row['rv']), keyOf(row), String(row['object']));
}

export function changeOf(row: Row): Change {
  const current = revisionOf(row);
  const previousRv = row['previousRv'];
  const previous =
    previousRv === null ? null : new Revision(Number(previousRv), current.key, String(row['previousObject']));
  if (row['deleted'] === 1) return { type: 'DELETED', current, previous };
  return { type: previous === null ? 'ADDED' : 'MODIFIED', current, previous };
}
