/** Strategy `newdeploy`: a function's own pods, of its environment's runtime or of a Wasm host. */
import type { WorkloadKind } from '../deployments/deployment-strategy.ts';
import { RUNTIME_PORT } from '../pods/containers.ts';
import { containerPod, type ContainerPodOptions, mainContainerName } from './container-pod.ts';
import { hostPod, type HostPodOptions } from './host-pod.ts';

export function newdeployKind(options: ContainerPodOptions & HostPodOptions): WorkloadKind {
  return {
    strategy: 'newdeploy',
    pods(fn) {
      if (fn.environment === null) throw new Error('a newdeploy function has an environment');
      const { resolved: environment } = fn.environment;
      return environment.wasm
        ? { pod: hostPod(fn, options), mainContainer: environment.name, port: RUNTIME_PORT }
        : {
            pod: containerPod(fn, options),
            mainContainer: mainContainerName(environment),
            port: RUNTIME_PORT,
          };
    },
    watchesItself: ({ environment }) => environment?.resolved.wasm === true,
  };
}
