/** `<noun> wait --name x --for condition=Ready`: waits for a condition of a resource's status. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Condition } from '../api/index.ts';
import type { KubeObject } from '../kube/index.ts';
import type { ResourceType } from './cluster.ts';
import { defineCommand, usageError, type Command } from './command.ts';
import { conditionOf, nameOption } from './common.ts';
import { CliError } from './errors.ts';
import { duration, text, withDefault } from './options.ts';

export function waitCommand(noun: string, type: ResourceType): Command {
  return defineCommand({
    name: 'wait',
    summary: `Wait until ${/^[aeiou]/.test(noun) ? 'an' : 'a'} ${noun} has a condition`,
    positional: 'name',
    options: {
      name: nameOption(noun),
      condition: withDefault(
        text('for', 'Condition to wait for', { placeholder: 'condition=Ready' }),
        'condition=Ready',
      ),
      timeout: withDefault(duration('timeout', 'How long to wait', { aliases: ['wait-timeout'] }), 60_000),
    },
    async handler({ name, condition, timeout }, { connect, out }) {
      const [, wanted, status = 'True'] =
        /^condition=([A-Za-z]+)(?:=(True|False|Unknown))?$/.exec(condition) ?? [];
      if (wanted === undefined) {
        throw usageError(
          `--for is ${JSON.stringify(condition)}: allowed is condition=Ready or condition=Ready=False`,
        );
      }
      const cluster = await connect();
      const progress = out.progress(`waiting for ${wanted} of ${noun} '${name}'`);
      try {
        const deadline = performance.now() + timeout;
        for (;;) {
          const object = await cluster.get<KubeObject & { status?: { conditions?: Condition[] } }>(
            type,
            name,
          );
          const found = conditionOf(object, wanted);
          const current = (found?.observedGeneration ?? 0) >= (object.metadata.generation ?? 0);
          if (found?.status === status && current) break;
          if (performance.now() > deadline) {
            throw new CliError(
              `${noun} '${name}' did not become ${wanted}=${status} in ${timeout / 1000} s`,
              {
                why:
                  found === undefined
                    ? 'it has no such condition'
                    : `${wanted} is ${found.status}: ${found.message}`,
              },
            );
          }
          await sleep(100);
        }
      } finally {
        progress.end();
      }
      out.line(`${noun} '${name}' condition met`);
    },
  });
}
