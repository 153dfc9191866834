/** `fissium archive`: what the storage service holds. */
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { singleFile } from './archive.ts';
import type { Cluster } from './cluster.ts';
import { defineCommand, type Noun } from './command.ts';
import { CliError } from './errors.ts';
import { required, text } from './options.ts';
import { download, serviceMessage, upload } from './storage.ts';

const idOption = required(text('id', 'Id of the archive', { placeholder: 'id' }));

const uploadCommand = defineCommand({
  name: 'upload',
  summary: 'Upload an archive',
  positional: 'name',
  options: { name: required(text('name', 'File to upload', { placeholder: 'file' })) },
  async handler({ name }, { connect, io, out }) {
    const file = await singleFile(name, io.cwd);
    const url = await upload(await connect(), out, file);
    out.line(`File successfully uploaded with ID: ${new URL(url).searchParams.get('id') ?? ''}`);
  },
});

const list = defineCommand({
  name: 'list',
  summary: 'List all uploaded archives',
  options: {},
  async handler(_values, { connect, out }) {
    const ids = JSON.parse(await ask(await connect(), 'GET', null)) as string[];
    out.line('ARCHIVES');
    for (const id of ids.toSorted()) out.line(id);
  },
});

const remove = defineCommand({
  name: 'delete',
  summary: 'Delete an archive',
  positional: 'id',
  options: { id: idOption },
  async handler({ id }, { connect, out }) {
    await ask(await connect(), 'DELETE', id);
    out.line(`Deleted archive with id: ${id}`);
  },
});

const getUrl = defineCommand({
  name: 'get-url',
  summary: 'Get URL of an uploaded archive',
  positional: 'id',
  options: { id: idOption },
  async handler({ id }, { connect, out }) {
    const cluster = await connect();
    const answer = await cluster.service('storagesvc', pathOf(id), { method: 'HEAD' });
    answer.body.resume();
    if (answer.status >= 300) throw refused(id, answer.status, '');
    const bucket = answer.headers['x-fission-bucket'];
    out.line(
      typeof bucket === 'string'
        ? `URL: https://${bucket}.s3.amazonaws.com/${id}`
        : `URL: http://storagesvc.${cluster.controlNamespace}${pathOf(id)}`,
    );
  },
});

const downloadCommand = defineCommand({
  name: 'download',
  summary: 'Download an archive',
  positional: 'id',
  options: {
    id: idOption,
    output: text('output', 'File to write to [default: the id]', { short: 'o', placeholder: 'file' }),
  },
  async handler({ id, output = basename(id) }, { connect, io, out }) {
    const cluster = await connect();
    const url = `http://storagesvc.${cluster.controlNamespace}${pathOf(id)}`;
    const content = await download(cluster, url);
    const path = resolve(io.cwd, output);
    try {
      await pipeline(Readable.from(content), createWriteStream(path));
    } catch (error) {
      // Half an archive is none.
      await rm(path, { force: true });
      throw error;
    }
    out.line(`File download complete. File name: ${output}`);
  },
});

function pathOf(id: string): string {
  return `/v1/archive?id=${encodeURIComponent(id)}`;
}

async function ask(cluster: Cluster, method: 'GET' | 'DELETE', id: string | null): Promise<string> {
  const answer = await cluster.service('storagesvc', id === null ? '/v1/archive' : pathOf(id), { method });
  const body = await answer.text();
  if (answer.status >= 300) throw refused(id ?? '', answer.status, body);
  return body;
}

function refused(id: string, status: number, body: string): CliError {
  if (status === 404) return new CliError(`there is no archive ${id}`, { fix: 'see `fissium archive list`' });
  return new CliError('the storage service refused the request', { why: serviceMessage(status, body) });
}

export const archive: Noun = { commands: [uploadCommand, list, remove, getUrl, downloadCommand] };
