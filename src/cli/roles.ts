/** The commands of the processes of a cluster: each reads its settings from the environment, see docs/kubernetes.md. */
import { availableParallelism } from 'node:os';
import { defineCommand } from './command.ts';

const IN_A_POD =
  'Runs in a pod that the installation or the controller makes; settings come from the environment (docs/kubernetes.md).';

export const controller = defineCommand({
  name: 'controller',
  summary: 'Run the controller of a cluster',
  description: IN_A_POD,
  options: {},
  async handler(_values, { io }) {
    const { clusterSettings } = await import('../roles/cluster-settings.ts');
    const { runController } = await import('../roles/controller.ts');
    await runController({ settings: clusterSettings(io.env) });
  },
});

export const router = defineCommand({
  name: 'router',
  summary: 'Run a router of a cluster',
  description: IN_A_POD,
  options: {},
  async handler(_values, { io }) {
    const { clusterSettings } = await import('../roles/cluster-settings.ts');
    const { runRouter } = await import('../roles/router.ts');
    await runRouter({ settings: clusterSettings(io.env) });
  },
});

export const wasmHost = defineCommand({
  name: 'wasm-host',
  summary: 'Run a host of Wasm functions of a cluster',
  description: IN_A_POD,
  options: {},
  async handler(_values, { io }) {
    const { wasmHostSettings } = await import('../roles/cluster-settings.ts');
    const { runWasmHost } = await import('../roles/wasm-host.ts');
    await runWasmHost({ settings: wasmHostSettings(io.env), threads: availableParallelism() });
  },
});
