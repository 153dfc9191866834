/**
 * Every field of Fission's custom resources, as `test/crds/extract.ts` took them from its CRDs: Fission 1.27, and
 * its main branch of 2026-08-07 (commit 920a4df07), which has fields that come after 1.27.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import type { KindName } from '../index.ts';

export const FISSION_VERSIONS = ['v1.27.0', '920a4df07'] as const;
export type FissionVersion = (typeof FISSION_VERSIONS)[number];

export interface FissionField {
  /** `[]` is an entry of a list, `*` any key of a map. */
  readonly path: string;
  readonly type: string;
  readonly required: boolean;
  /** The values that are allowed; null for any. */
  readonly values: readonly string[] | null;
}

const FILE = join(import.meta.dirname, '..', '..', '..', 'test', 'crds', 'fission-fields.json.br');

type Extract = Record<FissionVersion, Record<KindName, Record<string, string>>>;
let extract: Extract | undefined;

export function fissionFields(version: FissionVersion, kind: KindName): FissionField[] {
  extract ??= JSON.parse(brotliDecompressSync(readFileSync(FILE)).toString()) as Extract;
  return Object.entries(extract[version][kind]).map(([path, text]) => {
    const [type = '', ...values] = text.split(' ');
    return {
      path,
      type: type.replace('!', ''),
      required: type.endsWith('!'),
      values: values.length === 0 ? null : values.join(' ').split('|'),
    };
  });
}
