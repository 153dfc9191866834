/** `fissium storage`: the settings of a storage service; the service itself is src/roles/storage.ts. */
import { resolve } from 'node:path';
import { defineCommand, usageError, type CliIo } from './command.ts';
import { flag, integer, parseDuration, text, withDefault } from './options.ts';
import type { StorageOptions } from '../roles/storage.ts';

const MIB = 1024 * 1024;
const MINUTE_MS = 60_000;
/** Each look lists all archives and all Packages. */
const MIN_INTERVAL_MS = 1_000;

export const storageRole = defineCommand({
  name: 'storage',
  summary: 'Start the storage service in this process',
  description: [
    "Serves Fission's /v1/archive from a folder, or from an S3 bucket where STORAGE_S3_BUCKET_NAME is set. The",
    "environment is that of Fission's storage service: STORAGE_S3_ENDPOINT, STORAGE_S3_BUCKET_NAME,",
    'STORAGE_S3_SUB_DIR, STORAGE_S3_REGION, STORAGE_S3_ACCESS_KEY_ID, STORAGE_S3_SECRET_ACCESS_KEY (or the AWS_*',
    'ones, with AWS_SESSION_TOKEN), STORAGE_S3_VIRTUAL_HOST=true, STORAGE_MAX_ARCHIVE_SIZE_MIB, PRUNE_ENABLED,',
    'PRUNE_INTERVAL (minutes, or a duration such as 10s), FISSION_INTERNAL_AUTH_SECRET and _OLD, FISSIUM_NAMESPACES.',
    'Archives that no Package names for the grace are removed; an API server that does not answer removes none.',
  ].join('\n'),
  options: {
    folder: withDefault(text('folder', 'Folder of the archives', { placeholder: 'dir' }), '/fission'),
    host: withDefault(text('host', 'Address to listen on', { placeholder: 'address' }), '0.0.0.0'),
    port: withDefault(integer('port', 'Port', { min: 0, max: 65_535, placeholder: 'port' }), 8000),
    pruneGrace: withDefault(
      text(
        'prune-grace',
        'For how long an archive is kept although no Package names it: minutes, or such as 10s',
        {
          placeholder: 'duration',
        },
      ),
      '60',
    ),
    prune: withDefault(
      flag('prune', 'Remove what no Package names; with --no-prune nothing, and no API server is needed'),
      true,
    ),
  },
  async handler(values, { io, out }) {
    const { storage } = await import('../roles/storage.ts');
    await storage({
      host: values.host,
      port: values.port,
      folder: resolve(io.cwd, values.folder),
      ...storageSettings(io.env, values.prune, values.pruneGrace),
      verbose: out.verbose,
    });
  },
});

type FromEnvironment = Omit<StorageOptions, 'host' | 'port' | 'folder' | 'verbose'>;

/** What the environment says. @throws CliError where it cannot be right */
export function storageSettings(env: CliIo['env'], prune: boolean, pruneGrace: string): FromEnvironment {
  const limitMib = positive(env, 'STORAGE_MAX_ARCHIVE_SIZE_MIB', 256);
  const intervalMs = minutesOrDuration(env['PRUNE_INTERVAL'] || '60', 'PRUNE_INTERVAL');
  if (intervalMs < MIN_INTERVAL_MS)
    throw usageError(`PRUNE_INTERVAL is "${env['PRUNE_INTERVAL']}"`, 'allowed: a second, or longer');
  const isPruning = prune && !/^(?:0|f|false)$/i.test(env['PRUNE_ENABLED'] ?? '');
  return {
    s3: s3Settings(env),
    limitBytes: limitMib * MIB,
    secrets: internalSecrets(env),
    namespaces: namespacesOf(env),
    prune: isPruning ? { intervalMs, graceMs: minutesOrDuration(pruneGrace, '--prune-grace') } : null,
  };
}

function s3Settings(env: CliIo['env']): StorageOptions['s3'] {
  const bucket = env['STORAGE_S3_BUCKET_NAME'] ?? '';
  if (bucket === '') {
    if (env['STORAGE_TYPE'] === 's3')
      throw usageError('STORAGE_TYPE is s3, but STORAGE_S3_BUCKET_NAME is not set');
    return null;
  }
  const region = env['STORAGE_S3_REGION'] || env['AWS_REGION'] || 'us-east-1';
  const accessKeyId = env['STORAGE_S3_ACCESS_KEY_ID'] || env['AWS_ACCESS_KEY_ID'] || '';
  const secretAccessKey = env['STORAGE_S3_SECRET_ACCESS_KEY'] || env['AWS_SECRET_ACCESS_KEY'] || '';
  const sessionToken = env['AWS_SESSION_TOKEN'] ?? '';
  if (accessKeyId === '' || secretAccessKey === '') {
    throw usageError(
      'the S3 bucket has no credentials: set STORAGE_S3_ACCESS_KEY_ID and STORAGE_S3_SECRET_ACCESS_KEY',
    );
  }
  const endpoint = env['STORAGE_S3_ENDPOINT'] || `https://s3.${region}.amazonaws.com`;
  return {
    // Fission takes an endpoint without a scheme.
    endpoint: /^https?:\/\//.test(endpoint) ? endpoint : `https://${endpoint}`,
    bucket,
    region,
    accessKeyId,
    secretAccessKey,
    ...(sessionToken === '' ? {} : { sessionToken }),
    prefix: env['STORAGE_S3_SUB_DIR'] ?? '',
    virtualHost: env['STORAGE_S3_VIRTUAL_HOST'] === 'true',
  };
}

/** The installation's secret, and the one before it. One that is set but empty is a mistake, as Fission has it. */
export function internalSecrets(env: CliIo['env']): string[] {
  const { FISSION_INTERNAL_AUTH_SECRET: secret, FISSION_INTERNAL_AUTH_SECRET_OLD: old = '' } = env;
  if (secret === undefined) return [];
  if (secret === '') {
    throw usageError(
      'FISSION_INTERNAL_AUTH_SECRET is set but empty',
      'unset it to have requests not checked, or give it the secret',
    );
  }
  return [secret, old].filter((value) => value !== '');
}

/** `FISSIUM_NAMESPACES`: the namespaces to serve; undefined for all. */
export function namespacesOf(env: CliIo['env']): readonly string[] | undefined {
  const names = (env['FISSIUM_NAMESPACES'] ?? '').split(',').map((name) => name.trim());
  const given = names.filter((name) => name !== '');
  return given.length === 0 ? undefined : given;
}

/** Fission's settings are minutes. Milliseconds. */
function minutesOrDuration(value: string, name: string): number {
  const ms = /^\d{1,6}$/.test(value) ? Number(value) * MINUTE_MS : parseDuration(value, name);
  if (ms < 0) throw usageError(`${name} is "${value}"`, 'allowed: minutes, or a duration such as 90s or 1h');
  return ms;
}

function positive(env: CliIo['env'], name: string, otherwise: number): number {
  const value = env[name] ?? '';
  if (value === '') return otherwise;
  if (!/^\d{1,6}$/.test(value) || Number(value) === 0) {
    throw usageError(`${name} must be a whole number above 0, but is "${value}"`);
  }
  return Number(value);
}
