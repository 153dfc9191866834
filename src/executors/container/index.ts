/** Strategy `container`: pods of the user's own image. */
import type { WorkloadKind } from '../deployments/deployment-strategy.ts';
import { userPod } from './container-pod.ts';

export const containerKind: WorkloadKind = {
  strategy: 'container',
  pods({ resolved }) {
    const { pod, answering } = userPod(resolved);
    return { pod, mainContainer: answering.container, port: answering.port };
  },
  watchesItself: () => false,
};
