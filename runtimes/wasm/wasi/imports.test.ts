import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { subscribeDuration } from './clocks.ts';
import { Fields } from './http/fields.ts';
import { FutureTrailers, IncomingBody, IncomingResponse } from './http/incoming.ts';
import { FutureIncomingResponse } from './http/outgoing-handler.ts';
import { OutgoingRequest, RequestOptions } from './http/outgoing-request.ts';
import { OutgoingResponse, ResponseOutparam } from './http/outgoing.ts';
import { ASYNC_IMPORTS, createImports, type InterfaceImports } from './imports.ts';
import { IoError } from './io-error.ts';
import { GuestEnded } from './stops.ts';
import { getLogStream, getStdin } from './cli.ts';
import { BodyReader } from './body-reader.ts';
import { MemoryInvocation } from './testing/memory-invocation.ts';

/** WASI 0.2.12 in WIT, as jco carries it. */
const WIT = new URL('../../../node_modules/@bytecodealliance/jco/lib/wit/builtin/0.2.12/', import.meta.url);

type Callable = (...args: unknown[]) => unknown;

/** `foo-bar` as jco names it: `fooBar`, and resources `FooBar`. */
function camel(name: string): string {
  return name.replace(/^%/, '').replace(/-([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase());
}

function pascal(name: string): string {
  const lower = camel(name);
  return lower.charAt(0).toUpperCase() + lower.slice(1);
}

interface WitInterface {
  readonly name: string;
  readonly functions: string[];
  readonly resources: { readonly name: string; readonly methods: string[]; readonly statics: string[] }[];
}

/** The functions and resources of every interface; enough of WIT's grammar for WASI's own files. */
function interfacesOf(wit: string): WitInterface[] {
  const text = wit.replace(/\/\/.*$/gm, '').replace(/@\w+\([^)]*\)/g, '');
  const packageName = /^\s*package ([\w:-]+)@/m.exec(text)?.[1] ?? '';
  const found: WitInterface[] = [];
  for (const [, name = '', body = ''] of text.matchAll(/^interface ([\w-]+) \{\n(.*?)^\}/gms)) {
    const resources: WitInterface['resources'][number][] = [];
    const rest = body.replace(
      /resource ([\w-]+)(?:;|\s*\{(.*?)\n\s*\})/gs,
      (_all, resource: string, inner?: string) => {
        const members = [...(inner ?? '').matchAll(/^\s*(%?[\w-]+):\s*(static )?func/gm)];
        resources.push({
          name: pascal(resource),
          methods: members.filter((member) => !member[2]).map((member) => camel(member[1] ?? '')),
          statics: members.filter((member) => member[2]).map((member) => camel(member[1] ?? '')),
        });
        return '';
      },
    );
    const functions = [...rest.matchAll(/^\s*(%?[\w-]+):\s*func/gm)].map((match) => camel(match[1] ?? ''));
    found.push({ name: `${packageName}/${name}`, functions, resources });
  }
  return found;
}

async function wasiInterfaces(): Promise<WitInterface[]> {
  const folders = await readdir(WIT);
  const texts = await Promise.all(
    folders.map(async (folder) => readFile(new URL(`${folder}/package.wit`, WIT), 'utf8')),
  );
  // Exports, not imports.
  const exported = new Set(['wasi:http/incoming-handler', 'wasi:cli/run']);
  return texts.flatMap(interfacesOf).filter(({ name }) => !exported.has(name));
}

/** Linked against, never made: no guest can call their operations, see sockets.ts. */
const NEVER_MADE = new Set([
  'TcpSocket',
  'UdpSocket',
  'IncomingDatagramStream',
  'OutgoingDatagramStream',
  'ResolveAddressStream',
]);

describe('the imports', () => {
  it('have every function, class and method of WASI 0.2', async () => {
    const imports = createImports(new MemoryInvocation().state);
    const missing: string[] = [];
    const interfaces = await wasiInterfaces();
    for (const { name, functions, resources } of interfaces) {
      const has = (imports[name] ?? {}) as InterfaceImports;
      for (const each of functions) if (typeof has[each] !== 'function') missing.push(`${name} ${each}`);
      for (const resource of resources) {
        const made = has[resource.name] as
          | (Record<string, unknown> & { prototype?: Record<string, unknown> })
          | undefined;
        if (typeof made !== 'function') missing.push(`${name} ${resource.name}`);
        if (NEVER_MADE.has(resource.name)) continue;
        for (const each of resource.methods) {
          if (typeof made?.prototype?.[each] !== 'function') missing.push(`${name} ${resource.name}.${each}`);
        }
        for (const each of resource.statics) {
          if (typeof made?.[each] !== 'function') missing.push(`${name} static ${resource.name}.${each}`);
        }
      }
    }
    expect(missing).toEqual([]);
    // That the files were really read.
    expect(interfaces.length).toBeGreaterThan(28);
    expect(interfaces.flatMap(({ resources }) => resources).length).toBeGreaterThan(20);
  });

  it('name only functions that exist as those that may wait', async () => {
    const interfaces = new Map((await wasiInterfaces()).map((each) => [each.name, each]));
    for (const name of ASYNC_IMPORTS) {
      const [, wasi = '', resource, member = ''] =
        /^([^#]+)#(?:\[method\]([\w-]+)\.)?([\w-]+)$/.exec(name) ?? [];
      const described = interfaces.get(wasi);
      const functions = resource
        ? described?.resources.find((each) => each.name === pascal(resource))?.methods
        : described?.functions;
      expect(functions, name).toContain(camel(member));
    }
  });

  it('make objects that are instances of the classes in them, one invocation apart from the other', () => {
    const [one, other] = [new MemoryInvocation().state, new MemoryInvocation().state];
    const types = createImports(one)['wasi:http/types'] as { Fields: new () => Fields };
    const fields = new types.Fields();
    expect(fields).toBeInstanceOf(types.Fields);
    expect(fields.clone()).toBeInstanceOf(types.Fields);
    expect(fields.state).toBe(one);
    expect(one.live('fields')).toBe(2);
    expect(other.live('fields')).toBe(0);
  });

  it('answer nothing any more once the invocation has ended, not one of them', () => {
    const { state, abort } = new MemoryInvocation();
    const response = {
      status: 200,
      headers: [],
      heldBytes: 0,
      body: { read: async () => null, trailers: async () => [], cancel: () => undefined },
    };
    const outgoing = new OutgoingResponse(new Fields(state));
    const body = outgoing.body();
    if (body.tag === 'err') throw new Error('no body');
    const resources: object[] = [
      new IoError(state, { message: '' }),
      subscribeDuration(state, 0n),
      getStdin(state),
      getLogStream(state, 'stdout'),
      new Fields(state),
      new IncomingResponse(state, response),
      new IncomingBody(state, null),
      new FutureTrailers(state, new BodyReader(null, () => ({ message: '' }))),
      outgoing,
      body.val,
      new OutgoingRequest(new Fields(state)),
      new RequestOptions(state),
      new FutureIncomingResponse(state),
      new ResponseOutparam(state),
    ];
    const imports = createImports(state);
    const silent = new Set(['wasi:clocks/monotonic-clock resolution', 'wasi:clocks/wall-clock resolution']);
    abort.abort();
    const answered: string[] = [];
    const call = (name: string, run: () => unknown): void => {
      try {
        const given = run();
        if (given instanceof Promise) given.catch(() => undefined);
        answered.push(name);
      } catch (error) {
        if (!(error instanceof GuestEnded)) answered.push(`${name}: ${String(error)}`);
      }
    };
    for (const [name, members] of Object.entries(imports)) {
      for (const [member, value] of Object.entries(members)) {
        const isFunction = typeof value === 'function' && /^[a-z]/.test(member);
        const key = `${name} ${member}`;
        if (!isFunction || silent.has(key) || name === 'wasi:clocks/timezone') continue;
        call(key, () => (value as Callable)(resources[0], 1n));
      }
    }
    const ofTheHost = new Set([
      'constructor',
      'giveAway',
      'dropped',
      'take',
      'give',
      'send',
      'start',
      'settle',
      'isReady',
      'arm',
    ]);
    for (const resource of resources) {
      const prototype = Object.getPrototypeOf(resource) as object;
      for (const [member, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
        if (typeof descriptor.value !== 'function' || ofTheHost.has(member)) continue;
        const method = descriptor.value as Callable;
        call(`${resource.constructor.name}.${member}`, () => method.call(resource, 1n, 1n));
      }
    }
    expect(answered).toEqual([]);
  });
});
