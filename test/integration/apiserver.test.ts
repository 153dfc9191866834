/** The embedded API over real HTTPS sockets, in its own thread. */
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startApiServerThread, type ApiServer } from '../../src/apiserver/index.ts';
import { startApiServer } from '../../src/apiserver/server.ts';
import { ApiClient, take } from './support/api-client.ts';

const logger = pino({ level: 'silent' });
const CONFIGMAPS = '/api/v1/namespaces/default/configmaps';
const FUNCTIONS = '/apis/fission.io/v1/namespaces/default/functions';

const configMap = (name: string, data: Record<string, string> = {}, metadata: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...metadata },
  data,
});

const fissionFunction = (name: string, spec: object = {}, metadata: object = {}) => ({
  apiVersion: 'fission.io/v1',
  kind: 'Function',
  metadata: { name, namespace: 'default', ...metadata },
  spec: { environment: { name: 'wasm' }, package: { packageref: { name: 'hello' } }, ...spec },
});

describe('the embedded API', () => {
  let folder: string;
  let server: ApiServer;
  let api: ApiClient;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fissium-api-'));
    server = await startApiServerThread(
      { dataDir: join(folder, 'data'), port: 0, logLevel: 'silent' },
      logger,
    );
    api = await ApiClient.from(server.kubeconfigPath);
  });

  afterAll(async () => {
    api?.close();
    await server?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const rvNow = async (): Promise<string> => (await api.get(CONFIGMAPS)).body.metadata.resourceVersion;

  test('keeps its files to its owner', async () => {
    const modeOf = async (path: string): Promise<number> =>
      (await stat(join(folder, 'data', path))).mode & 0o777;
    expect(await modeOf('.')).toBe(0o700);
    expect(await modeOf('pki')).toBe(0o700);
    for (const file of [
      'kubeconfig',
      'state.db',
      'state.db-wal',
      'pki/token',
      'pki/ca.key',
      'pki/server.key',
    ]) {
      expect([file, await modeOf(file)]).toEqual([file, 0o600]);
    }
  });

  describe('who asks', () => {
    test.each([undefined, 'Bearer wrong', 'Basic dXNlcjpwYXNz', 'Bearer '])(
      'refuses %s with 401',
      async (value) => {
        const headers = { Authorization: value ?? '' };
        const { code, body } = await api.get('/api/v1/namespaces', { headers });
        expect(code).toBe(401);
        expect(body).toMatchObject({ kind: 'Status', reason: 'Unauthorized', code: 401 });
      },
    );

    test.each(['/healthz', '/livez', '/readyz', '/version'])('answers %s to everyone', async (path) => {
      expect((await api.get(path, { headers: { Authorization: '' } })).code).toBe(200);
    });
  });

  describe('create', () => {
    test('gives uid, creationTimestamp, resourceVersion and generation, and drops a status', async () => {
      const { code, body } = await api.post(FUNCTIONS, {
        ...fissionFunction('created'),
        status: { observedGeneration: 9 },
      });
      expect(code).toBe(201);
      expect(body.metadata).toMatchObject({ name: 'created', namespace: 'default', generation: 1 });
      expect(body.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
      expect(body.metadata['creationTimestamp']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      expect(Number(body.metadata.resourceVersion)).toBeGreaterThan(0);
      expect(body).not.toHaveProperty('status');
    });

    test('a name that is taken is 409, and a generated one is not', async () => {
      expect((await api.post(CONFIGMAPS, configMap('taken'))).code).toBe(201);
      const { code, body } = await api.post(CONFIGMAPS, configMap('taken'));
      expect(code).toBe(409);
      expect(body).toMatchObject({ reason: 'AlreadyExists', details: { name: 'taken', kind: 'configmaps' } });
      const generated = await api.post(CONFIGMAPS, { metadata: { generateName: 'made-' } });
      expect(generated.body.metadata.name).toMatch(/^made-[a-z0-9]{5}$/);
    });

    test('in a missing namespace is 404, as is an unknown resource', async () => {
      const missing = await api.post('/api/v1/namespaces/nowhere/configmaps', configMap('x'));
      expect(missing.code).toBe(404);
      expect(missing.body.message).toBe('namespaces "nowhere" not found');
      const unknown = await api.get('/api/v1/namespaces/default/endpoints');
      expect(unknown.code).toBe(404);
      expect(unknown.body.message).toBe('the server could not find the requested resource');
    });

    test.each([
      ['of another kind', { ...configMap('x'), kind: 'Secret' }, 400, 'BadRequest'],
      ['of another version', { ...configMap('x'), apiVersion: 'v2' }, 400, 'BadRequest'],
      ['with another namespace', configMap('x', {}, { namespace: 'team' }), 400, 'BadRequest'],
      ['with a resourceVersion', configMap('x', {}, { resourceVersion: '1' }), 400, 'BadRequest'],
      ['without a name', configMap(''), 422, 'Invalid'],
      ['with a bad name', configMap('Not_A_Name'), 422, 'Invalid'],
      ['with a bad label', configMap('x', {}, { labels: { a: 'b c' } }), 422, 'Invalid'],
      ['with labels that are no strings', configMap('x', {}, { labels: { a: 1 } }), 400, 'BadRequest'],
      ['that is a list', [], 400, 'BadRequest'],
      ['that is no JSON', '{', 400, 'BadRequest'],
    ])('refuses a body %s', async (_what, body, code, reason) => {
      const answer = await api.post(CONFIGMAPS, body);
      expect([answer.code, answer.body.reason]).toEqual([code, reason]);
    });

    test('tells every invalid field as a cause', async () => {
      const { code, body } = await api.post(
        FUNCTIONS,
        fissionFunction('bad', { concurrency: 'x', requestsPerPod: 'y' }),
      );
      expect(code).toBe(422);
      expect(body['details']).toMatchObject({ name: 'bad', group: 'fission.io', kind: 'Function' });
      const fields = body.details.causes.map((cause) => cause.field);
      expect(fields.toSorted()).toEqual(['spec.concurrency', 'spec.requestsPerPod']);
    });

    test('fieldValidation: Strict refuses, Warn drops and tells, Ignore drops', async () => {
      const strict = await api.post(
        `${FUNCTIONS}?fieldValidation=Strict`,
        fissionFunction('fv', { nosuch: 1 }, { odd: 1 }),
      );
      expect(strict.code).toBe(400);
      expect(strict.body.message).toContain(
        'strict decoding error: unknown field "metadata.odd", unknown field "spec.nosuch"',
      );
      const warned = await api.post(FUNCTIONS, fissionFunction('fv', { nosuch: 1 }));
      expect(warned.code).toBe(201);
      expect(warned.headers['warning']).toBe('299 - "unknown field \\"spec.nosuch\\""');
      expect(warned.body['spec']).not.toHaveProperty('nosuch');
      const ignored = await api.post(
        `${FUNCTIONS}?fieldValidation=Ignore`,
        fissionFunction('fv2', { nosuch: 1 }),
      );
      expect(ignored.headers).not.toHaveProperty('warning');
      const core = await api.post(`${CONFIGMAPS}?fieldValidation=Strict`, { ...configMap('x'), dat: {} });
      expect(core.body.message).toContain('unknown field "dat"');
    });

    test('takes YAML, and refuses other formats with 415', async () => {
      const yaml = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: yaml}\ndata: {a: b}\n';
      const created = await api.post(CONFIGMAPS, yaml, { contentType: 'application/yaml' });
      expect(created.body).toMatchObject({ data: { a: 'b' } });
      expect((await api.post(CONFIGMAPS, '<a/>', { contentType: 'text/xml' })).code).toBe(415);
    });

    test('takes 3 MiB and no more', async () => {
      const body = { ...configMap('big'), padding: 'x'.repeat(3 * 1024 * 1024) };
      const { code } = await api.post(CONFIGMAPS, body).catch(() => ({ code: 413 }));
      expect(code).toBe(413);
    });

    test('dryRun=All checks and keeps nothing', async () => {
      const dry = await api.post(`${CONFIGMAPS}?dryRun=All`, configMap('dry'));
      expect(dry.code).toBe(201);
      expect(dry.body.metadata).not.toHaveProperty('resourceVersion');
      expect((await api.get(`${CONFIGMAPS}/dry`)).code).toBe(404);
      expect((await api.post(`${CONFIGMAPS}?dryRun=Some`, configMap('dry'))).code).toBe(400);
    });

    test("folds a secret's stringData into its data", async () => {
      const secret = {
        metadata: { name: 'folded' },
        data: { a: 'YQ==' },
        stringData: { b: 'b', __proto__x: 'c' },
      };
      const { body } = await api.post('/api/v1/namespaces/default/secrets', secret);
      expect(body).toMatchObject({ type: 'Opaque', data: { a: 'YQ==', b: 'Yg==' } });
      expect(body).not.toHaveProperty('stringData');
      const bad = await api.post('/api/v1/namespaces/default/secrets', {
        metadata: { name: 'bad' },
        data: { a: '?' },
      });
      expect(bad.code).toBe(422);
    });
  });

  describe('replace', () => {
    test('needs the current resourceVersion, and bumps the generation with the spec', async () => {
      const created = await api.post(FUNCTIONS, fissionFunction('replaced'));
      const path = `${FUNCTIONS}/replaced`;
      expect((await api.put(path, fissionFunction('replaced'))).code).toBe(422);
      const metadata = created.body.metadata;
      const changed = await api.put(path, { ...fissionFunction('replaced', { concurrency: 2 }), metadata });
      expect(changed.body.metadata).toMatchObject({ generation: 2 });
      const stale = await api.put(path, { ...fissionFunction('replaced', { concurrency: 3 }), metadata });
      expect([stale.code, stale.body.reason]).toEqual([409, 'Conflict']);
      const labels = {
        ...changed.body,
        metadata: { ...changed.body.metadata, labels: { a: 'b' } },
      };
      expect((await api.put(path, labels)).body.metadata).toMatchObject({
        generation: 2,
        labels: { a: 'b' },
      });
    });

    test('that changes nothing writes nothing', async () => {
      const { body } = await api.post(CONFIGMAPS, configMap('same', { a: '1' }));
      const again = await api.put(`${CONFIGMAPS}/same`, body);
      expect(again.body.metadata).toEqual(body.metadata);
    });

    test("keeps the server's own metadata, whatever is sent", async () => {
      const { body } = await api.post(CONFIGMAPS, configMap('own'));
      const sent = configMap(
        'own',
        { a: '1' },
        { creationTimestamp: '2001-01-01T00:00:00Z', generation: 77 },
      );
      const { body: after } = await api.put(`${CONFIGMAPS}/own`, sent);
      expect(after['metadata']).toMatchObject({
        uid: body.metadata.uid,
        creationTimestamp: body.metadata['creationTimestamp'],
      });
      expect((await api.put(`${CONFIGMAPS}/own`, configMap('own', {}, { uid: 'another' }))).code).toBe(409);
      expect((await api.put(`${CONFIGMAPS}/own`, configMap('other'))).code).toBe(400);
      expect((await api.put(`${CONFIGMAPS}/absent`, configMap('absent'))).code).toBe(404);
    });

    test('an immutable ConfigMap keeps its data', async () => {
      await api.post(CONFIGMAPS, { ...configMap('fixed', { a: '1' }), immutable: true });
      const { code, body } = await api.patch(`${CONFIGMAPS}/fixed`, { data: { a: '2' } });
      expect(code).toBe(422);
      expect(body.message).toContain('field is immutable when `immutable` is set');
    });
  });

  describe('status', () => {
    test('is written by /status only, which writes nothing else', async () => {
      const path = `${FUNCTIONS}/with-status`;
      const { body } = await api.post(FUNCTIONS, fissionFunction('with-status'));
      await api.patch(path, { status: { observedGeneration: 5 } });
      expect((await api.get(path)).body).not.toHaveProperty('status');
      const sent = { ...body, spec: { environment: { name: 'other' } }, status: { observedGeneration: 1 } };
      const put = await api.put(`${path}/status`, sent);
      expect(put.code).toBe(200);
      expect(put.body).toMatchObject({
        spec: body['spec'],
        status: { observedGeneration: 1 },
        metadata: { generation: 1 },
      });
      const patched = await api.patch(path, { spec: { concurrency: 4 } });
      expect(patched.body).toMatchObject({ status: { observedGeneration: 1 }, metadata: { generation: 2 } });
      expect((await api.patch(`${CONFIGMAPS}/x/status`, {})).code).toBe(404);
    });
  });

  describe('patch', () => {
    test('many at once on one object all count', async () => {
      await api.post(CONFIGMAPS, configMap('raced'));
      const keys = Array.from({ length: 20 }, (_, index) => `k${index}`);
      await Promise.all(keys.map((key) => api.patch(`${CONFIGMAPS}/raced`, { data: { [key]: '1' } })));
      const { body } = await api.get(`${CONFIGMAPS}/raced`);
      expect(Object.keys(body.data)).toHaveLength(20);
    });

    test('with a stale resourceVersion in it is a conflict', async () => {
      const { body } = await api.post(CONFIGMAPS, configMap('guarded'));
      const resourceVersion = body.metadata.resourceVersion;
      const patch = (value: string) =>
        api.patch(`${CONFIGMAPS}/guarded`, { metadata: { resourceVersion }, data: { a: value } });
      expect((await patch('1')).code).toBe(200);
      expect((await patch('2')).code).toBe(409);
    });

    test.each([
      ['application/apply-patch+yaml', 'server-side apply is not supported'],
      [
        'application/strategic-merge-patch+json',
        'strategic merge patch is not supported for functions.fission.io',
      ],
      ['application/json', 'application/merge-patch+json'],
    ])('as %s is 415 and says so', async (contentType, message) => {
      const { code, body } = await api.call('PATCH', `${FUNCTIONS}/created`, { body: '{}', contentType });
      expect(code).toBe(415);
      expect(body.message).toContain(message);
    });
  });

  describe('delete', () => {
    test('answers Status, minds preconditions, and 404s the second time', async () => {
      const { body } = await api.post(CONFIGMAPS, configMap('goes'));
      const path = `${CONFIGMAPS}/goes`;
      expect((await api.delete(path, { preconditions: { uid: 'another' } })).code).toBe(409);
      expect((await api.delete(path, { preconditions: { resourceVersion: '1' } })).code).toBe(409);
      expect((await api.delete(`${path}?dryRun=All`)).code).toBe(200);
      const deleted = await api.delete(path, {
        kind: 'DeleteOptions',
        apiVersion: 'v1',
        propagationPolicy: 'Background',
      });
      const uid = body.metadata.uid;
      expect(deleted.body).toMatchObject({
        kind: 'Status',
        status: 'Success',
        details: { name: 'goes', kind: 'configmaps', uid },
      });
      expect((await api.delete(path)).code).toBe(404);
      expect((await api.delete(`${CONFIGMAPS}/x?propagationPolicy=Sideways`)).code).toBe(400);
    });

    test('waits for finalizers', async () => {
      await api.post(CONFIGMAPS, configMap('held', {}, { finalizers: ['example.com/hold'] }));
      const path = `${CONFIGMAPS}/held`;
      const marked = await api.delete(path);
      expect(marked.body.metadata['deletionTimestamp']).toBeTypeOf('string');
      expect((await api.get(path)).code).toBe(200);
      const more = await api.patch(path, {
        metadata: { finalizers: ['example.com/hold', 'example.com/more'] },
      });
      expect(more.code).toBe(422);
      expect((await api.patch(path, { metadata: { finalizers: null } })).code).toBe(200);
      expect((await api.get(path)).code).toBe(404);
    });

    test('of a collection goes by selector', async () => {
      for (const name of ['c1', 'c2', 'c3']) {
        await api.post(CONFIGMAPS, configMap(name, {}, { labels: { set: name === 'c3' ? 'kept' : 'gone' } }));
      }
      const { body } = await api.delete(`${CONFIGMAPS}?labelSelector=set%3Dgone`);
      expect(body['kind']).toBe('ConfigMapList');
      expect(body.items).toHaveLength(2);
      const left = await api.get(`${CONFIGMAPS}?labelSelector=set`);
      expect(left.body.items).toHaveLength(1);
    });

    test('collects what the object owned, and what owned nothing that exists', async () => {
      const owner = await api.post(CONFIGMAPS, configMap('owner'));
      const uid = owner.body.metadata.uid;
      const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid }];
      const rv = await rvNow();
      await api.post(CONFIGMAPS, configMap('owned', {}, { ownerReferences }));
      await api.delete(`${CONFIGMAPS}/owner`);
      const selector = 'fieldSelector=metadata.name%3Downed';
      const events = await take(api.watch(`${CONFIGMAPS}?watch=1&resourceVersion=${rv}&${selector}`), 2);
      expect(events.map((event) => event.type)).toEqual(['ADDED', 'DELETED']);
      // Whose owner is gone when it comes goes as well.
      await api.post(CONFIGMAPS, configMap('late', {}, { ownerReferences }));
      const late = await take(
        api.watch(`${CONFIGMAPS}?watch=1&resourceVersion=${rv}&fieldSelector=metadata.name%3Dlate`),
        2,
      );
      expect(late.map((event) => event.type)).toEqual(['ADDED', 'DELETED']);
    });

    test('of a namespace takes its content along, and nothing new comes in', async () => {
      await api.post('/api/v1/namespaces', { metadata: { name: 'ends' } });
      const inside = '/api/v1/namespaces/ends/configmaps';
      await api.post(inside, configMap('plain'));
      await api.post(inside, configMap('held', {}, { finalizers: ['example.com/hold'] }));
      const { body } = await api.delete('/api/v1/namespaces/ends');
      expect(body).toMatchObject({ status: { phase: 'Terminating' } });
      const refused = await api.post(inside, configMap('new'));
      expect([refused.code, refused.body.reason]).toEqual([403, 'Forbidden']);
      const path = `/api/v1/namespaces?watch=1&fieldSelector=metadata.name%3Dends&resourceVersion=${await rvNow()}`;
      const gone = take(api.watch(path), 1);
      await api.patch(`${inside}/held`, { metadata: { finalizers: [] } });
      expect((await gone)[0]?.type).toBe('DELETED');
      expect((await api.get(inside)).body.items).toEqual([]);
      expect((await api.delete('/api/v1/namespaces/default')).code).toBe(403);
    });
  });

  describe('list', () => {
    test('pages show one state, however much changes between them', async () => {
      const labels = { paged: 'yes' };
      for (let i = 0; i < 7; i++)
        await api.post(CONFIGMAPS, configMap(`page-${i}`, { v: 'old' }, { labels }));
      const base = `${CONFIGMAPS}?labelSelector=paged%3Dyes&limit=3`;
      const first = await api.get(base);
      await api.delete(`${CONFIGMAPS}/page-4`);
      await api.patch(`${CONFIGMAPS}/page-5`, { data: { v: 'new' } });
      await api.post(CONFIGMAPS, configMap('page-33', {}, { labels }));
      const names: string[] = [];
      const values: string[] = [];
      const pageOf = (body: typeof first.body): void => {
        for (const item of body.items) {
          names.push(item.metadata.name);
          values.push(item.data['v'] ?? '');
        }
      };
      pageOf(first.body);
      let token = first.body.metadata.continue ?? '';
      while (token !== '') {
        const { body } = await api.get(`${base}&continue=${token}`);
        expect(body.metadata.resourceVersion).toBe(first.body.metadata.resourceVersion);
        pageOf(body);
        token = body.metadata.continue ?? '';
      }
      expect(names).toEqual([0, 1, 2, 3, 4, 5, 6].map((i) => `page-${i}`));
      expect(new Set(values)).toEqual(new Set(['old']));
    });

    test('resourceVersion 0, Exact and of the future', async () => {
      const before = await rvNow();
      await api.post(CONFIGMAPS, configMap('newer'));
      const names = async (query: string): Promise<string> => (await api.get(`${CONFIGMAPS}?${query}`)).text;
      expect(await names('resourceVersion=0')).toContain('"newer"');
      expect(await names(`resourceVersion=${before}&resourceVersionMatch=NotOlderThan`)).toContain('"newer"');
      expect(await names(`resourceVersion=${before}&resourceVersionMatch=Exact`)).not.toContain('"newer"');
      const future = await api.get(`${CONFIGMAPS}?resourceVersion=999999999`);
      expect([future.code, future.body.reason]).toEqual([504, 'Timeout']);
    });

    test.each([
      'limit=x',
      'continue=xyz',
      'labelSelector=a%20b',
      'fieldSelector=spec.x%3D1',
      'resourceVersion=abc',
    ])('%s is 400', async (query) => {
      expect((await api.get(`${CONFIGMAPS}?${query}`)).code).toBe(400);
    });

    test('answers a Table and metadata alone where the client asks', async () => {
      const table = await api.get(FUNCTIONS, {
        headers: { Accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' },
      });
      expect(table.body['kind']).toBe('Table');
      const Accept = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io';
      const metadata = await api.get(FUNCTIONS, { headers: { Accept } });
      expect(metadata.body['kind']).toBe('PartialObjectMetadataList');
      expect(metadata.text).not.toContain('"spec"');
      expect((await api.get(FUNCTIONS, { headers: { Accept: 'text/html' } })).code).toBe(406);
    });
  });

  describe('watch', () => {
    test('from a resourceVersion tells each change once, in order', async () => {
      const rv = await rvNow();
      await api.post(CONFIGMAPS, configMap('seen', { a: '1' }));
      const events = api.watch(
        `${CONFIGMAPS}?watch=true&resourceVersion=${rv}&fieldSelector=metadata.name%3Dseen`,
      );
      const [added] = await take(events, 1);
      expect(added).toMatchObject({ type: 'ADDED', object: { kind: 'ConfigMap', data: { a: '1' } } });
      await api.patch(`${CONFIGMAPS}/seen`, { data: { a: '2' } });
      await api.delete(`${CONFIGMAPS}/seen`);
      const [modified, deleted] = await take(events, 2);
      expect(modified).toMatchObject({ type: 'MODIFIED', object: { data: { a: '2' } } });
      expect(deleted).toMatchObject({ type: 'DELETED', object: { data: { a: '2' } } });
      const versions = [added, modified, deleted].map((event) =>
        Number(event?.object.metadata.resourceVersion),
      );
      expect(versions).toEqual(versions.toSorted((a, b) => a - b));
      expect(new Set(versions).size).toBe(3);
      await events.return(undefined);
    });

    test('without one begins with what is there', async () => {
      await api.post(CONFIGMAPS, configMap('present', {}, { labels: { w: 'list' } }));
      for (const query of ['', '&resourceVersion=0']) {
        const events = api.watch(`${CONFIGMAPS}?watch=true&labelSelector=w%3Dlist${query}`);
        expect(await take(events, 1)).toMatchObject([
          { type: 'ADDED', object: { metadata: { name: 'present' } } },
        ]);
        await events.return(undefined);
      }
    });

    test('an object that leaves the selector is DELETED, one that comes into it ADDED', async () => {
      const rv = await rvNow();
      await api.post(CONFIGMAPS, configMap('moves', {}, { labels: { in: 'yes' } }));
      await api.patch(`${CONFIGMAPS}/moves`, { metadata: { labels: { in: 'no' } } });
      await api.patch(`${CONFIGMAPS}/moves`, { data: { unseen: '1' } });
      await api.patch(`${CONFIGMAPS}/moves`, { metadata: { labels: { in: 'yes' } } });
      await api.patch(`${CONFIGMAPS}/moves`, { data: { seen: '1' } });
      const events = api.watch(`${CONFIGMAPS}?watch=true&resourceVersion=${rv}&labelSelector=in%3Dyes`);
      const types = (await take(events, 4)).map((event) => event.type);
      expect(types).toEqual(['ADDED', 'DELETED', 'ADDED', 'MODIFIED']);
      await events.return(undefined);
    });

    test('WatchList ends its initial events with a bookmark', async () => {
      await api.post(CONFIGMAPS, configMap('initial', {}, { labels: { w: 'watchlist' } }));
      const query =
        'watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
      const events = api.watch(`${CONFIGMAPS}?${query}&labelSelector=w%3Dwatchlist`);
      const [added, end] = await take(events, 2);
      expect(added).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'initial' } } });
      expect(end).toMatchObject({
        type: 'BOOKMARK',
        object: {
          kind: 'ConfigMap',
          apiVersion: 'v1',
          metadata: { annotations: { 'k8s.io/initial-events-end': 'true' } },
        },
      });
      await api.patch(`${CONFIGMAPS}/initial`, { data: { a: '1' } });
      expect((await take(events, 1))[0]?.type).toBe('MODIFIED');
      await events.return(undefined);
      expect((await api.get(`${CONFIGMAPS}?watch=true&sendInitialEvents=true`)).code).toBe(400);
    });

    test('timeoutSeconds ends it, with a bookmark for who asked', async () => {
      const query = `watch=true&allowWatchBookmarks=true&timeoutSeconds=1&resourceVersion=${await rvNow()}`;
      const events = await take(api.watch(`${CONFIGMAPS}?${query}`), 10);
      expect(events.at(-1)?.type).toBe('BOOKMARK');
    });

    test('of the future is 410, because the data must have been replaced', async () => {
      const events = await take(api.watch(`${CONFIGMAPS}?watch=true&resourceVersion=999999999`), 5);
      expect(events).toMatchObject([{ type: 'ERROR', object: { code: 410, reason: 'Expired' } }]);
    });

    test('as Table has the columns once', async () => {
      await api.post(FUNCTIONS, fissionFunction('tabled-1'));
      await api.post(FUNCTIONS, fissionFunction('tabled-2'));
      const headers = { Accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' };
      const events = api.watch(`${FUNCTIONS}?watch=true`, { headers });
      const [first, second] = await take(events, 2);
      expect(first?.object['kind']).toBe('Table');
      expect(first?.object['columnDefinitions']).not.toHaveLength(0);
      expect(second?.object['columnDefinitions']).toHaveLength(0);
      expect(second?.object['rows']).toHaveLength(1);
      await events.return(undefined);
    });
  });

  describe('Service proxy', () => {
    let upstream: Server;
    const PROXY = '/api/v1/namespaces/fission/services';

    beforeAll(async () => {
      upstream = createServer((request, response) => {
        if (request.url === '/broken') {
          response.writeHead(200, { 'Content-Length': 100 });
          response.write('half');
          setImmediate(() => response.destroy());
          return;
        }
        response.writeHead(201, {
          'X-Url': request.url ?? '',
          'X-Authorization': request.headers.authorization ?? 'none',
        });
        request.pipe(response);
      });
      await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
      const { port } = upstream.address() as AddressInfo;
      server.setUpstreams({ router: `http://127.0.0.1:${port}`, gone: 'http://127.0.0.1:1' });
    });

    afterAll(async () => {
      upstream.closeAllConnections();
      await new Promise((resolve) => upstream.close(resolve));
    });

    test('passes method, path, query and body on, and the credentials not', async () => {
      for (const service of ['router', 'router:80', 'http:router:http']) {
        const answer = await api.post(`${PROXY}/${service}/proxy/a%2Fb/c?x=1&y=%20`, 'body', {
          contentType: 'text/plain',
        });
        expect(answer.code).toBe(201);
        expect(answer.text).toBe('body');
        expect(answer.headers['x-url']).toBe('/a%2Fb/c?x=1&y=%20');
        expect(answer.headers['x-authorization']).toBe('none');
      }
      expect((await api.get(`${PROXY}/router/proxy`)).headers['x-url']).toBe('/');
    });

    test('streams bodies larger than its own limit', async () => {
      const body = Buffer.alloc(8 * 1024 * 1024, 'x');
      const { text } = await api.post(`${PROXY}/router/proxy/`, body, {
        contentType: 'application/octet-stream',
      });
      expect(text.length).toBe(body.length);
    });

    test('never ends a broken answer cleanly', async () => {
      await expect(api.get(`${PROXY}/router/proxy/broken`)).rejects.toThrow(/aborted|hang up/);
    });

    test('is 503 where nobody listens, 404 for other services, 401 without a token', async () => {
      const gone = await api.get(`${PROXY}/gone/proxy/`);
      expect([gone.code, gone.body.reason]).toEqual([503, 'ServiceUnavailable']);
      expect((await api.get(`${PROXY}/nosuch/proxy/`)).code).toBe(404);
      expect((await api.get('/api/v1/namespaces/default/services/router/proxy/')).code).toBe(404);
      expect((await api.get(`${PROXY}/router/proxy/`, { headers: { Authorization: '' } })).code).toBe(401);
    });
  });

  test('methods and paths that there are none of', async () => {
    expect((await api.call('PATCH', CONFIGMAPS, { body: '{}' })).code).toBe(405);
    expect((await api.post('/api/v1/configmaps', configMap('x'))).code).toBe(405);
    expect((await api.post('/version', {})).code).toBe(405);
    for (const path of [
      '/nosuch',
      '/apis/nosuch.io/v1',
      '/apis/fission.io/v2/functions',
      `${CONFIGMAPS}/a/b`,
      '/openapi/v2',
    ]) {
      expect([path, (await api.get(path)).code]).toEqual([path, 404]);
    }
    expect((await api.get('/api/v1/namespaces/%zz')).code).toBe(400);
  });
});

describe('a restart', () => {
  test('keeps objects, resourceVersions, token and CA, and rewrites the kubeconfig for another port', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fissium-restart-'));
    try {
      const first = await startApiServer({ dataDir: folder, port: 0 }, logger);
      const api = await ApiClient.from(first.kubeconfigPath);
      const { body } = await api.post(CONFIGMAPS, configMap('kept'));
      const ca = await readFile(join(folder, 'pki/ca.crt'), 'utf8');
      const watch = api.watch(`${CONFIGMAPS}?watch=true`);
      await take(watch, 1);
      await first.close();
      // The watch ends with the server.
      await expect(take(watch, 1)).resolves.toEqual([]);
      api.close();

      const second = await startApiServer({ dataDir: folder, port: 0 }, logger);
      const again = await ApiClient.from(second.kubeconfigPath);
      expect(again.url).toBe(second.url);
      expect(again.token).toBe(api.token);
      expect((await again.get(`${CONFIGMAPS}/kept`)).body).toEqual(body);
      expect(await readFile(join(folder, 'pki/ca.crt'), 'utf8')).toBe(ca);
      const next = await again.post(CONFIGMAPS, configMap('next'));
      const rv = (answer: typeof next.body): number => Number(answer.metadata.resourceVersion);
      expect(rv(next.body)).toBeGreaterThan(rv(body));
      again.close();
      await second.close();
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test('a port that is taken is refused with the port and what to do', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fissium-port-'));
    const taken = createServer();
    try {
      await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
      const { port } = taken.address() as AddressInfo;
      const start = startApiServerThread({ dataDir: folder, port, logLevel: 'silent' }, logger);
      await expect(start).rejects.toMatchObject({
        code: 'BAD_OPTION',
        message: expect.stringContaining(`127.0.0.1:${port}`) as string,
      });
    } finally {
      taken.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
});

test('a full disk refuses writes with 507 and the folder, and reads go on', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fissium-full-'));
  const server = await startApiServer({ dataDir: folder, port: 0, store: { maxBytes: 300 * 1024 } }, logger);
  const api = await ApiClient.from(server.kubeconfigPath);
  try {
    let refused = await api.post(CONFIGMAPS, configMap('filler-0'));
    for (let i = 1; refused.code === 201; i++) {
      refused = await api.post(CONFIGMAPS, configMap(`filler-${i}`, { padding: 'x'.repeat(30_000) }));
    }
    expect([refused.code, refused.body.reason]).toEqual([507, 'InsufficientStorage']);
    expect(refused.body.message).toContain(folder);
    expect((await api.get(`${CONFIGMAPS}/filler-0`)).code).toBe(200);
    expect((await api.get('/readyz')).code).toBe(200);
  } finally {
    api.close();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
});
