/**
 * The documents of this folder as the real kubectl reads them. The server here only serves documents and
 * fixed objects; how the whole API behaves is tested where it lives.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { negotiateDiscovery, negotiateObject } from './accept.ts';
import { ACCESS_REVIEW_KIND, CORE_KINDS } from './core-kinds.ts';
import { apiDocument, apisDocument, resourcesDocument, versionDocument } from './discovery.ts';
import type { JsonObject } from './json.ts';
import { buildOpenApi } from './openapi.ts';
import { decodeProtobuf, PROTOBUF_MEDIA_TYPE } from './protobuf.ts';
import { applyStrategicMergePatch } from './strategic-patch.ts';
import { toTable } from './table.ts';
import { EXAMPLE_KIND } from './testing/example-kind.ts';

const run = promisify(execFile);
const kinds = [...CORE_KINDS, EXAMPLE_KIND, ACCESS_REVIEW_KIND];
const openApi = buildOpenApi(kinds);

async function kubectlIsInstalled(): Promise<boolean> {
  try {
    await run('kubectl', ['version', '--client']);
    return true;
  } catch {
    process.stderr.write('kubectl is not installed: the tests of formats with it are skipped\n');
    return false;
  }
}

interface Seen {
  readonly method: string;
  readonly path: string;
  readonly contentType: string | undefined;
  readonly body: Buffer;
}

const WIDGET: JsonObject = {
  apiVersion: 'example.io/v1',
  kind: 'Widget',
  metadata: {
    name: 'w',
    namespace: 'default',
    uid: 'u',
    resourceVersion: '1',
    creationTimestamp: '2026-01-02T03:04:05Z',
  },
  spec: { size: 3 },
};

describe.skipIf(!(await kubectlIsInstalled()))('kubectl', () => {
  const seen: Seen[] = [];
  let configMap: JsonObject | undefined;
  let server: Server;
  let home: string;
  let address: string;

  async function readBody(request: IncomingMessage): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  function bodyObject({ contentType, body }: Seen): JsonObject {
    if (contentType === PROTOBUF_MEDIA_TYPE) return decodeProtobuf(body);
    return JSON.parse(body.toString()) as JsonObject;
  }

  /** [status, body, content type] */
  function answer(call: Seen, accept: string | undefined): [number, unknown, string?] {
    const form = negotiateDiscovery(accept);
    const discovery = { '/api': apiDocument, '/apis': apisDocument }[call.path];
    if (discovery) {
      const document = discovery(kinds, form);
      return [200, document.body, document.contentType];
    }
    const resources = /^\/(?:api|apis\/(?<group>[^/]+))\/(?<version>v1)$/.exec(call.path)?.groups;
    if (resources) return [200, resourcesDocument(kinds, resources.group ?? '', resources.version ?? '')];
    if (call.path === '/version') return [200, versionDocument('0')];
    if (call.path === '/openapi/v3') return [200, openApi.index];
    if (call.path.startsWith('/openapi/v3/')) return [200, openApi.documents.get(call.path.slice(12)) ?? ''];
    if (call.path.endsWith('/widgets')) {
      const list = { kind: 'WidgetList', apiVersion: 'example.io/v1', metadata: {}, items: [WIDGET] };
      const table = toTable(EXAMPLE_KIND, [WIDGET], { nowMs: Date.parse('2026-01-02T03:09:05Z') });
      return [200, negotiateObject(accept) === 'table' ? table : list];
    }
    return answerConfigMap(call);
  }

  function answerConfigMap(call: Seen): [number, unknown] {
    if (call.method === 'POST') {
      const object = bodyObject(call);
      if (object.kind === 'SelfSubjectAccessReview') return [201, { ...object, status: { allowed: true } }];
      if (object.kind === 'ConfigMap') configMap = object;
      return [201, object];
    }
    if (call.method === 'PATCH' && configMap)
      configMap = applyStrategicMergePatch('ConfigMap', configMap, bodyObject(call));
    if (configMap && call.path.endsWith('/configmaps/settings')) return [200, configMap];
    return [
      404,
      {
        kind: 'Status',
        apiVersion: 'v1',
        status: 'Failure',
        reason: 'NotFound',
        message: 'not found',
        code: 404,
      },
    ];
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname: path } = new URL(request.url ?? '/', 'http://localhost');
    const call = {
      method: request.method ?? '',
      path,
      contentType: request.headers['content-type'],
      body: await readBody(request),
    };
    seen.push(call);
    const [status, body, contentType = 'application/json'] = answer(call, request.headers.accept);
    response.writeHead(status, { 'content-type': contentType });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  }

  async function kubectl(...args: string[]): Promise<string> {
    const { stdout } = await run('kubectl', ['--server', address, ...args], {
      cwd: home,
      env: { PATH: process.env.PATH, HOME: home, KUBECONFIG: join(home, 'none') },
    });
    return stdout;
  }

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'fissium-kubectl-'));
    server = createServer((request, response) => {
      handle(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => {
      server.close(resolve);
    });
    await rm(home, { recursive: true, force: true });
  });

  it('finds all resources by aggregated discovery alone', async () => {
    seen.length = 0;
    const output = await kubectl('api-resources', '--no-headers', '-o', 'wide');
    expect(output).toMatch(/^widgets +wd +example\.io\/v1 +true +Widget +create,delete,.* all$/m);
    expect(output).toMatch(/^configmaps +cm +v1 +true +ConfigMap /m);
    expect(seen.map(({ path }) => path)).not.toContain('/apis/example.io/v1');
  });

  it('prints a table', async () => {
    expect(await kubectl('get', 'widgets')).toBe('NAME   SIZE\nw      3\n');
    expect(await kubectl('get', 'wd', '-o', 'name')).toBe('widget.example.io/w\n');
  });

  it.each([
    ['widgets.spec.size', /FIELD: size <integer>[\s\S]*How big it is\./],
    ['widgets.spec', /size\t<integer> -required-/],
    ['widgets.metadata.ownerReferences', /FIELD: ownerReferences <\[\]Object>/],
    ['configmaps', /KIND: +ConfigMap[\s\S]*binaryData\t<map\[string\]string>/],
    ['events.involvedObject.fieldPath', /FIELD: fieldPath <string>/],
  ])('explains %s', async (path, expected) => {
    expect(await kubectl('explain', path)).toMatch(expected);
  });

  it('creates from protobuf, applies, and applies a change by strategic merge patch', async () => {
    configMap = undefined;
    await kubectl(
      'create',
      'configmap',
      'settings',
      '--from-literal=a=1',
      '--from-literal=b=2',
      '--save-config',
    );
    expect(configMap).toMatchObject({ kind: 'ConfigMap', data: { a: '1', b: '2' } });
    const manifest = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'settings', finalizers: ['x.io/y'] },
      data: { a: '9' },
    };
    await writeFile(join(home, 'settings.json'), JSON.stringify(manifest));
    seen.length = 0;
    await kubectl('apply', '-f', 'settings.json');
    expect(seen.find(({ method }) => method === 'PATCH')?.contentType).toBe(
      'application/strategic-merge-patch+json',
    );
    expect(configMap).toMatchObject({ metadata: { finalizers: ['x.io/y'] } });
    expect(configMap).toHaveProperty('data', { a: '9' });
  });

  it('asks whether something is allowed, in protobuf', async () => {
    expect(await kubectl('auth', 'can-i', 'create', 'widgets')).toBe('yes\n');
  });
});
