/**
 * Writes `fission-fields.json.br`: every field of the CRDs of a Fission release, by kind, as path and type. Facts
 * only: names, types, allowed values, and which fields are required.
 *
 *     node test/crds/extract.ts <a git directory of fission/fission> v1.27.0
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync } from 'node:zlib';
import { parse } from 'yaml';

const KINDS = [
  'environments',
  'functions',
  'packages',
  'httptriggers',
  'timetriggers',
  'messagequeuetriggers',
  'kuberneteswatchtriggers',
];

interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
  readonly enum?: readonly string[];
  readonly required?: readonly string[];
  readonly 'x-kubernetes-int-or-string'?: boolean;
}

/** `type`, with `!` where the field is required and the allowed values behind it. */
function describeField(schema: Schema, isRequired: boolean): string {
  const type = schema['x-kubernetes-int-or-string'] === true ? 'int-or-string' : (schema.type ?? 'any');
  const values = schema.enum === undefined ? '' : ` ${schema.enum.join('|')}`;
  return `${type}${isRequired ? '!' : ''}${values}`;
}

function walk(schema: Schema, path: string, out: Record<string, string>): void {
  for (const [name, inner] of Object.entries(schema.properties ?? {})) {
    const at = path === '' ? name : `${path}.${name}`;
    out[at] = describeField(inner, schema.required?.includes(name) === true);
    walk(inner, at, out);
  }
  if (schema.items !== undefined) {
    out[`${path}[]`] = describeField(schema.items, false);
    walk(schema.items, `${path}[]`, out);
  }
  if (typeof schema.additionalProperties === 'object') {
    out[`${path}.*`] = describeField(schema.additionalProperties, false);
    walk(schema.additionalProperties, `${path}.*`, out);
  }
}

const [gitDirectory = '', ...references] = process.argv.slice(2);
const versions: Record<string, Record<string, Record<string, string>>> = {};
for (const reference of references) {
  const kinds: Record<string, Record<string, string>> = {};
  for (const plural of KINDS) {
    const text = execFileSync(
      'git',
      ['--git-dir', gitDirectory, 'show', `${reference}:crds/v1/fission.io_${plural}.yaml`],
      { encoding: 'utf8', maxBuffer: 1 << 26, stdio: ['ignore', 'pipe', 'ignore'] },
    );
    const crd = parse(text) as {
      spec: { names: { kind: string }; versions: { schema: { openAPIV3Schema: Schema } }[] };
    };
    const fields: Record<string, string> = {};
    const { spec, status } = crd.spec.versions[0]?.schema.openAPIV3Schema.properties ?? {};
    walk({ properties: { ...(spec && { spec }), ...(status && { status }) } }, '', fields);
    kinds[crd.spec.names.kind] = fields;
  }
  versions[reference] = kinds;
}
const json = JSON.stringify(versions);
writeFileSync(join(import.meta.dirname, 'fission-fields.json.br'), brotliCompressSync(json));
process.stdout.write(`${references.join(', ')}: ${json.length} characters of JSON\n`);
