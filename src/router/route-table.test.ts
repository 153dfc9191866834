import { describe, expect, it } from 'vitest';
import { RouteTable, type RouteMatch } from './route-table.ts';
import { trigger } from './testing/resources.ts';

function table(...triggers: ReturnType<typeof trigger>[]): RouteTable {
  const routes = new RouteTable();
  for (const one of triggers) routes.upsert(one);
  return routes;
}

function name(match: RouteMatch): string {
  return match.kind === 'found' ? match.route.name : match.kind;
}

describe('matching', () => {
  const routes = table(
    trigger('exact', { path: '/users/me' }),
    trigger('number', { path: '/users/{id:[0-9]+}' }),
    trigger('any', { path: '/users/{id}' }),
    trigger('file', { path: '/users/{name}.json' }),
    trigger('rest', { path: '/static/{rest:.*}' }),
    trigger('prefix', { path: '/users/', prefix: true, methods: ['GET', 'POST'] }),
    trigger('deep', { path: '/users/archive', prefix: true }),
    trigger('colon', { path: '/teams/:team/members/:member' }),
    trigger('host', { path: '/users/{id}', host: 'api.example.com' }),
    trigger('tenant', { path: '/t/{tenant}/', prefix: true }),
  );
  it.each([
    ['/users/me', 'exact'],
    ['/users/42', 'number'],
    ['/users/x', 'any'],
    ['/users/x.json', 'file'],
    ['/users/', 'prefix'],
    ['/users/x/y', 'prefix'],
    ['/users/archive', 'deep'],
    ['/users/archive/2026/x', 'deep'],
    ['/users/archived', 'any'],
    ['/users', 'not-found'],
    ['/static/a/b/c', 'rest'],
    ['/static/', 'rest'],
    ['/teams/a/members/b', 'colon'],
    ['/teams//members/b', 'not-found'],
    ['/users/a%2Fb', 'any'],
    ['/users%2Fme', 'not-found'],
    ['/%75sers/me', 'exact'],
    ['/t/acme/x', 'tenant'],
  ])('%s is taken by %s', (path, expected) => {
    expect(name(routes.match('localhost', path, 'GET'))).toBe(expected);
  });

  it('prefers a trigger that names the host, whatever the port and case', () => {
    expect(name(routes.match('API.example.com:8888', '/users/42', 'GET'))).toBe('host');
    expect(name(routes.match('api.example.com', '/users/me/x', 'GET'))).toBe('prefix');
  });

  it('gives parameters by name, decoded but for slashes', () => {
    const match = routes.match('', '/teams/a%20b/members/c%2Fd', 'GET');
    expect(match).toMatchObject({
      parameters: [
        ['team', 'a b'],
        ['member', 'c%2Fd'],
      ],
    });
  });

  it('passes over a route that does not take the method', () => {
    expect(name(routes.match('', '/users/42', 'POST'))).toBe('prefix');
    expect(routes.match('', '/users/42', 'DELETE')).toEqual({
      kind: 'method-not-allowed',
      allow: ['GET', 'HEAD', 'OPTIONS', 'POST'],
    });
  });

  it('lets HEAD follow GET unless a trigger claims it', () => {
    expect(name(routes.match('', '/users/me', 'HEAD'))).toBe('exact');
    const own = table(trigger('get', { path: '/x' }), trigger('head', { path: '/x', methods: ['HEAD'] }));
    expect(name(own.match('', '/x', 'HEAD'))).toBe('head');
    expect(name(own.match('', '/x', 'GET'))).toBe('get');
  });

  it.each([
    [{ path: '/api', prefix: true }, '/api/a%20b/c', '/a%20b/c'],
    [{ path: '/api', prefix: true }, '/api', '/'],
    [{ path: '/api/', prefix: true }, '/api/', '/'],
    [{ path: '/api', prefix: true }, '/%61pi/c', '/c'],
    [{ path: '/api', prefix: true, keepPrefix: true }, '/api/c', '/api/c'],
    [{ path: '/', prefix: true }, '/a/b', '/a/b'],
    [{ path: '/t/{tenant}', prefix: true }, '/t/acme/x/y', '/x/y'],
    [{ path: '/t/{rest:[a-z/]+}/end', prefix: true }, '/t/a/b/end/x', '/x'],
    [{ path: '/api/x' }, '/api/x', '/'],
    [{ path: '/api/x', keepPrefix: true }, '/api/x', '/api/x'],
  ])('%j: the function behind %s sees %s', (parts, path, functionPath) => {
    expect(table(trigger('f', parts)).match('', path, 'GET')).toMatchObject({ kind: 'found', functionPath });
  });
});

describe('changes', () => {
  it('replaces and removes all of a trigger, and nothing else', () => {
    const routes = table(
      trigger('a', { path: '/x/{id}', prefix: true }),
      trigger('b', { path: '/x/{id}/y' }),
    );
    routes.upsert(trigger('a', { path: '/z' }));
    expect(name(routes.match('', '/x/1', 'GET'))).toBe('not-found');
    expect(name(routes.match('', '/z', 'GET'))).toBe('a');
    expect(name(routes.match('', '/x/1/y', 'GET'))).toBe('b');
    routes.delete('default', 'a');
    routes.delete('default', 'b');
    routes.delete('default', 'never');
    expect(name(routes.match('', '/z', 'GET'))).toBe('not-found');
    expect(routes.size).toBe(0);
  });

  it('keeps what a trigger had when its new path is refused', () => {
    const routes = table(trigger('a', { path: '/a' }));
    expect(() => routes.upsert(trigger('a', { path: '/a/{id' }))).toThrow(/never closed/);
    expect(() => routes.upsert(trigger('a', { methods: ['NOSUCH'] }))).toThrow(/NOSUCH/);
    expect(name(routes.match('', '/a', 'GET'))).toBe('a');
  });

  it.each(['/r{n}', '/r{n}/{id}', '/api/{x}/r{n}', '/{a}/r{n}/{b}/c', '/p{n}/'])(
    'one costs the same among 10 and among 10,000 routes like %s',
    (shape) => {
      const work = [10, 10_000].map((count) => {
        const routes = new RouteTable();
        const path = (n: number): string => shape.replace('{n}', String(n));
        const prefix = shape.endsWith('/');
        for (let n = 0; n < count; n += 1) routes.upsert(trigger(`r${n}`, { path: path(n), prefix }));
        const before = routes.work;
        routes.upsert(trigger('r5', { path: path(5), prefix, methods: ['POST'] }));
        routes.delete('default', 'r7');
        routes.upsert(trigger('new', { path: path(count), prefix }));
        return routes.work - before;
      });
      expect(work[1]).toBe(work[0]);
      expect(work[1]).toBeLessThan(60);
    },
    20_000,
  );
});

describe('conflicts', () => {
  const older = trigger('older', { path: '/x/{id}', creationTimestamp: '2026-01-01T00:00:00Z' });
  const younger = trigger('younger', {
    path: '/x/{name}',
    methods: ['GET', 'POST'],
    creationTimestamp: '2026-02-01T00:00:00Z',
  });

  it('are won by the older trigger, by method', () => {
    const routes = table(younger, older);
    expect(name(routes.match('', '/x/1', 'GET'))).toBe('older');
    expect(name(routes.match('', '/x/1', 'POST'))).toBe('younger');
    expect(routes.conflicts('default', 'older')).toEqual([]);
    expect(routes.conflicts('default', 'younger')).toEqual([
      { winner: { namespace: 'default', name: 'older' }, method: 'GET', host: '', path: '/x/{name}' },
    ]);
  });

  it('are won by name where the age is the same', () => {
    const routes = table(trigger('b', { path: '/x' }), trigger('a', { path: '/x' }));
    expect(name(routes.match('', '/x', 'GET'))).toBe('a');
  });

  it('end when the winner goes, and the loser is told', () => {
    const routes = table(younger);
    const told: string[] = [];
    const stop = routes.onConflictsChanged((triggers) => told.push(...triggers.map((one) => one.name)));
    routes.upsert(older);
    expect(told).toEqual(['younger']);
    routes.upsert({ ...older, functions: [{ name: 'other', weight: 100 }] });
    expect(told).toEqual(['younger']);
    routes.delete('default', 'older');
    expect(told).toEqual(['younger', 'younger']);
    expect(routes.conflicts('default', 'younger')).toEqual([]);
    expect(name(routes.match('', '/x/1', 'GET'))).toBe('younger');
    stop();
    routes.upsert(older);
    expect(told).toHaveLength(2);
  });

  it('arise between a prefix and an exact path for the prefix itself', () => {
    const routes = table(trigger('a', { path: '/api' }), trigger('b', { path: '/api', prefix: true }));
    expect(routes.conflicts('default', 'b').map(({ path }) => path)).toEqual(['/api']);
    expect(name(routes.match('', '/api/x', 'GET'))).toBe('b');
  });

  it('do not arise between hosts', () => {
    const routes = table(trigger('a', { path: '/x' }), trigger('b', { path: '/x', host: 'h.example' }));
    expect(routes.conflicts('default', 'b')).toEqual([]);
  });
});
