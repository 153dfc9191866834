import { describe, expect, it } from 'vitest';
import { KINDS, defaulted, kindByName, kindByPlural, withoutUnknownFields } from './index.ts';
import type { FieldError, KindName } from './index.ts';
import { environment, fn, pkg, trigger } from './testing/examples.ts';

function validate(kind: KindName, object: unknown): FieldError[] {
  return kindByName(kind)?.validate(object) ?? [];
}

describe('kinds', () => {
  it('are found by plural and by name', () => {
    expect(KINDS.map(({ plural }) => plural)).toEqual([
      'environments',
      'functions',
      'packages',
      'httptriggers',
      'timetriggers',
      'messagequeuetriggers',
      'kuberneteswatchtriggers',
    ]);
    expect(kindByPlural('httptriggers')?.kind).toBe('HTTPTrigger');
    expect(kindByPlural('pods')).toBeUndefined();
    expect(kindByName('Package')?.shortNames).toEqual(['pkg']);
  });
});

describe('unknown fields', () => {
  it.each<[KindName, unknown, string]>([
    ['Function', { ...fn(), spec: { ...fn().spec, nosuch: 1 } }, 'spec.nosuch'],
    ['Function', { ...fn(), nosuch: 1 }, 'nosuch'],
    ['Function', { ...fn(), metadata: { ...fn().metadata, label: {} } }, 'metadata.label'],
    ['Function', { ...fn(), status: { ready: true } }, 'status.ready'],
    ['Function', fn({ wasm: { instance: { size: 1 } as object } }), 'spec.wasm.instance.size'],
    ['Function', fn({ secrets: [{ name: 'a', path: 'x' } as { name: string }] }), 'spec.secrets[0].path'],
    ['Package', pkg({ deployment: { checksum: { value: '' } as object } }), 'spec.deployment.checksum.value'],
    ['Environment', { ...environment(), spec: { ...environment().spec, 'a.b/c': 1 } }, 'spec[a.b/c]'],
    ['HTTPTrigger', JSON.parse('{"__proto__":{"x":1}}'), '__proto__'],
  ])('of %s are named by their path', (kind, object, path) => {
    const unknown = validate(kind, object).filter((error) => error.unknown === true);
    expect(unknown.map((error) => error.path)).toEqual([path]);
  });

  it('come with the name that was likely meant', () => {
    const [near] = validate('Function', { ...fn(), spec: { ...fn().spec, functiontimeout: 3 } });
    expect(near?.message).toBe('is not a field here; did you mean functionTimeout?');
    const [few] = validate('Function', fn({ route: { url: '/a', host: 'x' } as { url: string } }));
    expect(few?.message).toBe('is not a field here; the fields are url, methods');
  });

  it('do not hide what else is wrong, however many there are', () => {
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`x${index}`, 1]));
    const errors = validate('Environment', {
      ...environment(),
      spec: { ...many, version: 9, runtime: { image: 'wasm' } },
    });
    expect(errors[0]).toEqual({ path: 'spec.version', message: 'must be from 1 to 3, but is 9' });
    expect(errors.length).toBeLessThan(200);
  });

  it('inside of Kubernetes’ own shapes are kept and accepted', () => {
    const object = environment({ runtime: { image: 'wasm', podspec: { anything: { at: ['all'] } } } });
    expect(validate('Environment', object)).toEqual([]);
  });

  it('are dropped on request, and only they', () => {
    const kind = kindByPlural('functions');
    if (kind === undefined) throw new Error('no functions');
    const good = fn({ secrets: null });
    expect(
      withoutUnknownFields(kind, { ...good, nosuch: 1, spec: { ...good.spec, nosuch: { a: 1 } } }),
    ).toEqual(good);
  });
});

describe('messages', () => {
  it.each<[KindName, unknown, string]>([
    ['Function', 3, ' must be an object, but is 3'],
    ['Function', { ...fn(), kind: 'Functions' }, 'kind must be Function, but is "Functions"'],
    ['Function', { ...fn(), apiVersion: 'v1' }, 'apiVersion must be fission.io/v1, but is "v1"'],
    ['Function', fn({ functionTimeout: 1.5 }), 'spec.functionTimeout must be a whole number, but is 1.5'],
    ['Function', fn({ env: {} as [] }), 'spec.env must be a list, but is an object'],
    [
      'Function',
      fn({ wasm: { cpuTime: true as unknown as string } }),
      'spec.wasm.cpuTime must be a whole number or a string, but is true',
    ],
    ['Function', { ...fn(), metadata: {} }, 'metadata.name is required: lower-case letters'],
    [
      'Function',
      { ...fn(), metadata: { name: 'Hello' } },
      'metadata.name must be lower-case letters, digits',
    ],
    [
      'Function',
      fn({ environment: { name: 'x'.repeat(64) } }),
      'spec.environment.name must have 63 characters at most',
    ],
    ['Environment', environment({ version: 0 }), 'spec.version must be from 1 to 3, but is 0'],
    [
      'Environment',
      { ...environment(), spec: { version: 1 } },
      'spec.runtime is required: What runs the code.',
    ],
    ['HTTPTrigger', trigger({ methods: ['get' as 'GET'] }), 'spec.methods[0] must be one of GET, HEAD'],
    [
      'Package',
      pkg({ deployment: { oci: { image: 'a', digest: 'x' } } }),
      `spec.deployment.oci.digest must be 'sha256:' and 64 lower-case hex digits, but is "x"`,
    ],
  ])('for %s say what was seen and what is allowed', (kind, object, message) => {
    const [error] = validate(kind, object);
    expect(`${error?.path} ${error?.message}`).toContain(message);
  });

  it('accept a generated name', () => {
    expect(validate('Function', { ...fn(), metadata: { generateName: 'hello-' } })).toEqual([]);
  });
});

describe('defaulted', () => {
  it('fills defaults where their object is there, and nowhere else', () => {
    const environments = kindByPlural('environments');
    const functions = kindByPlural('functions');
    if (environments === undefined || functions === undefined) throw new Error('no kinds');
    // Fission's CLI compares what it wrote with what is stored.
    expect(defaulted(environments, environment())).toEqual(environment());
    expect(defaulted(functions, fn({ streaming: {} })).spec.streaming).toEqual({ protocol: 'auto' });
    expect(defaulted(functions, fn()).spec).toEqual(fn().spec);
  });

  it('drops nulls but where they may be, and keeps unknown fields', () => {
    const functions = kindByPlural('functions');
    if (functions === undefined) throw new Error('no functions');
    const written = {
      ...fn(),
      spec: { ...fn().spec, secrets: null, resources: null, versioning: { mode: null }, nosuch: null },
    };
    const { secrets, versioning, ...rest } = defaulted(functions, written).spec;
    expect([secrets, versioning]).toEqual([null, { mode: 'auto' }]);
    expect(Object.keys(rest).toSorted()).toEqual(['environment', 'nosuch', 'package']);
  });
});

describe('validateUpdate', () => {
  it("refuses another version of an environment's interface", () => {
    const kind = kindByPlural('environments');
    expect(kind?.validateUpdate(environment({ version: 2 }), environment({ version: 3 }))).toEqual([
      {
        path: 'spec.version',
        message: 'cannot change from 2 to 3; delete the environment and create it anew',
      },
    ]);
    expect(kind?.validateUpdate(environment(), environment({ poolsize: 2 }))).toEqual([]);
  });
});
