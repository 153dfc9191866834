import { ApiError } from '../../kube/index.ts';
import { RESOURCES, type Cluster } from '../cluster.ts';

/** What selects the Deployments of an installation. */
export const PARTS = 'app.kubernetes.io/name=fissium';

/** Whether the platform runs in pods of a cluster, and not in one process with an API of its own. */
export async function runsInPods(cluster: Cluster): Promise<boolean> {
  try {
    return (await cluster.list(RESOURCES.deployments, cluster.controlNamespace, PARTS)).length > 0;
  } catch (error) {
    // Only a cluster has users who may not see everything.
    if (error instanceof ApiError && error.status === 403) return true;
    throw error;
  }
}
