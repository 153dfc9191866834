/** What shows triggers outside: Ingresses beside the router. There is no ingress controller here. */
import { beforeAll, expect, test } from 'vitest';
import { wasmEnvironment, wasmFunction } from '../support/functions.ts';
import { INSTALLED_IN, installFissium } from '../support/install.ts';
import { apply, kubectl } from '../support/kubectl.ts';
import { newNamespace } from '../support/namespace.ts';
import { condition, eventually } from '../support/wait.ts';

beforeAll(installFissium);

interface Ingress {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly rules: readonly object[]; readonly tls?: readonly object[] };
}

async function ingresses(namespace: string): Promise<Ingress[]> {
  const selector = `triggerName=hello,triggerNamespace=${namespace}`;
  const text = await kubectl('get', 'ingress', '-n', INSTALLED_IN, '-l', selector, '-o', 'json');
  return (JSON.parse(text) as { items: Ingress[] }).items;
}

const patch = (namespace: string, spec: object): Promise<string> =>
  kubectl('patch', 'httptrigger', 'hello', '-n', namespace, '--type=merge', '-p', JSON.stringify({ spec }));

test('a trigger that asks for it has an Ingress to the router, for as long as it asks', async () => {
  const namespace = await newNamespace();
  await apply([wasmEnvironment(namespace), ...(await wasmFunction({ name: 'hello', namespace }))]);
  await patch(namespace, {
    createingress: true,
    ingressconfig: { host: 'a.example.com', path: '/x', tls: 'cert' },
  });
  await condition('httptrigger', 'hello', namespace, { type: 'IngressCreated', status: 'True' });
  const [made] = await ingresses(namespace);
  const backend = { service: { name: 'router', port: { number: 80 } } };
  expect(made?.spec).toMatchObject({
    rules: [{ host: 'a.example.com', http: { paths: [{ path: '/x', backend }] } }],
    tls: [{ hosts: ['a.example.com'], secretName: 'cert' }],
  });

  await patch(namespace, { ingressconfig: { host: 'b.example.com' } });
  await eventually('the other host', async () => {
    const [changed] = await ingresses(namespace);
    return JSON.stringify(changed?.spec.rules).includes('b.example.com');
  });
  await kubectl('delete', 'httptrigger', 'hello', '-n', namespace);
  await eventually('no Ingress', async () => (await ingresses(namespace)).length === 0);
});

test('a host that Kubernetes refuses is told of in the condition, and the route is served', async () => {
  const namespace = await newNamespace();
  await apply([wasmEnvironment(namespace), ...(await wasmFunction({ name: 'hello', namespace }))]);
  await patch(namespace, { createingress: true, ingressconfig: { tls: 'Not_a_name' } });
  const found = await condition('httptrigger', 'hello', namespace, {
    type: 'IngressCreated',
    status: 'False',
    reason: 'Refused',
  });
  expect(found.message).toContain('Not_a_name');
  await condition('httptrigger', 'hello', namespace, { type: 'Ready', status: 'True' });
});
