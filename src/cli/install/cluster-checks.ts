/** What `fissium check` looks at on a cluster, beside what answers. */
import { type KubeObject, LEADER_LEASE } from '../../kube/index.ts';
import { type ApiService, judgeMetricsApi } from '../../metrics-api/index.ts';
import { RESOURCES, type Cluster } from '../cluster.ts';
import { findForeignFission } from './foreign-fission.ts';
import { whyBehind } from './rollout.ts';
import { PARTS } from './runs-in-pods.ts';

/** Resolves with what is worth telling, with null where it does not apply; rejects where something is wrong. */
type ClusterCheck = (cluster: Cluster) => Promise<string | null>;

export const noForeignFission: ClusterCheck = async (cluster) => {
  const found = await findForeignFission(cluster);
  if (found !== null) throw new Error(`${found} runs here and acts on the same resources`);
  return null;
};

export const partsRun: ClusterCheck = async (cluster) => {
  const deployments = await cluster.list(RESOURCES.deployments, cluster.controlNamespace, PARTS);
  if (deployments.length === 0) return null;
  const behind = deployments.flatMap((deployment) => {
    const why = whyBehind(deployment);
    return why === null ? [] : [`${deployment.metadata.name}: ${why}`];
  });
  if (behind.length > 0) throw new Error(behind.join('; '));
  return deployments.map(({ metadata }) => metadata.name).join(', ');
};

interface Lease extends KubeObject {
  spec?: { holderIdentity?: string; renewTime?: string; leaseDurationSeconds?: number };
}

export const someoneLeads: ClusterCheck = async (cluster) => {
  const parts = await cluster.list(RESOURCES.deployments, cluster.controlNamespace, PARTS);
  if (parts.length === 0) return null;
  const lease = await cluster.find<Lease>(RESOURCES.leases, LEADER_LEASE, cluster.controlNamespace);
  const { holderIdentity = '', renewTime = '', leaseDurationSeconds = 15 } = lease?.spec ?? {};
  if (holderIdentity === '') throw new Error('no controller leads: nothing is reconciled');
  const ageS = Math.round((Date.now() - Date.parse(renewTime)) / 1000);
  if (ageS > leaseDurationSeconds)
    throw new Error(`${holderIdentity} led, and has not said so for ${ageS} s`);
  return holderIdentity;
};

export const metricsReachAutoscalers: ClusterCheck = async (cluster) => {
  const parts = await cluster.list(RESOURCES.deployments, cluster.controlNamespace, PARTS);
  if (parts.length === 0) return null;
  const services = await cluster.list<ApiService>(RESOURCES.apiservices, null);
  const state = judgeMetricsApi(services, { namespace: cluster.controlNamespace, name: 'executor' });
  if (state.state === 'unavailable') throw new Error(state.message);
  return state.message;
};
