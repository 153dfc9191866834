/** `fissium builder`: the settings of a builder server; the server itself is src/roles/builder.ts. */
import { resolve } from 'node:path';
import { TOOLCHAIN_NAMES } from '../builders/images.ts';
import { defineCommand } from './command.ts';
import { duration, integer, required, text, withDefault } from './options.ts';
import { internalSecrets } from './storage-role.ts';

export const builderRole = defineCommand({
  name: 'builder',
  summary: 'Start the server of a builder image in this process',
  description: [
    "Fission's builder server, for images whose PATH has a program `build`: POST / builds a source that the fetcher put",
    'into the shared volume. The environment goes on to builds, without FISSION_INTERNAL_AUTH_SECRET and',
    'FISSION_BUILDER_KEY, which say who may ask.',
  ].join('\n'),
  positional: 'folder',
  options: {
    folder: required(text('folder', 'Folder shared with the fetcher', { placeholder: 'dir' })),
    host: withDefault(text('host', 'Address to listen on', { placeholder: 'address' }), '0.0.0.0'),
    port: withDefault(integer('port', 'Port', { min: 0, max: 65_535, placeholder: 'port' }), 8001),
    toolchain: text('toolchain', "Of the platform's own, whose `build` comes first in PATH", {
      choices: TOOLCHAIN_NAMES,
    }),
    timeout: withDefault(duration('timeout', 'Longest build'), 900_000),
  },
  async handler(values, { io, out }) {
    const { builder } = await import('../roles/builder.ts');
    await builder({
      host: values.host,
      port: values.port,
      timeoutMs: values.timeout,
      sharedFolder: resolve(io.cwd, values.folder),
      toolchain: TOOLCHAIN_NAMES.find((name) => name === values.toolchain) ?? null,
      env: io.env,
      secrets: internalSecrets(io.env),
      verbose: out.verbose,
    });
  },
});
