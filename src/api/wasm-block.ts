/** `spec.wasm`: what Fission has no field for. */
import Type from 'typebox';
import type { Static } from 'typebox';
import { choice, closed, intOrString, stringList } from './schema.ts';

export const wasmBlockSchema = closed(
  {
    instance: Type.Optional(
      closed(
        {
          mode: Type.Optional(
            choice(['fresh', 'reuse'], {
              description: '`fresh` (default): a clean instance for each request; `reuse`: state stays.',
            }),
          ),
          maxRequests: Type.Optional(
            Type.Integer({ minimum: 1, description: 'Requests after which an instance is replaced.' }),
          ),
          idleTimeout: Type.Optional(
            intOrString({ description: 'How long an idle instance stays: seconds, or `2m`.' }),
          ),
          maxConcurrent: Type.Optional(
            Type.Integer({ minimum: 1, description: 'Requests in one instance at once.' }),
          ),
        },
        { description: 'How long an instance lives.' },
      ),
    ),
    cpuTime: Type.Optional(
      intOrString({ description: 'CPU time of one request: seconds, or `500ms`; default 10s.' }),
    ),
    queue: Type.Optional(
      Type.Integer({ minimum: 0, description: 'Requests that may wait before 429; default 1000.' }),
    ),
    allowedOutboundHosts: Type.Optional(
      stringList(
        'Hosts that the function may call: `https://api.example.com:443`, `*.example.org`. None by default.',
      ),
    ),
    bodyLimit: Type.Optional(intOrString({ description: 'Largest request body; default 256Mi.' })),
    idleTimeout: Type.Optional(
      intOrString({ description: 'Longest silence within a body: seconds, or `2m`; default 60s.' }),
    ),
    totalTimeout: Type.Optional(
      intOrString({ description: 'Longest whole request: seconds, or `1h`; default none.' }),
    ),
  },
  { description: 'Settings of Wasm functions; also as annotations `fissium.io/wasm-…`.' },
);

export type WasmBlock = Static<typeof wasmBlockSchema>;
