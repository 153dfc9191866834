import type { KubeObject } from '../../kube/index.ts';
import { RESOURCES, type Cluster } from '../cluster.ts';

interface Deployment extends KubeObject {
  spec?: { template?: { spec?: { containers?: { image?: string }[] } } };
}

/** All of Fission's own control plane runs this image. */
const BUNDLE = /(?:^|\/)fission-bundle(?:[:@]|$)/;

/** A Deployment of Fission's own control plane (`namespace/name`), or null where there is none. */
export async function findForeignFission(cluster: Cluster): Promise<string | null> {
  const deployments = await cluster
    .list<Deployment>(RESOURCES.deployments, null)
    // Who may not look everywhere looks where Fission would be.
    .catch(() => cluster.list<Deployment>(RESOURCES.deployments, cluster.controlNamespace));
  const found = deployments.find(({ spec }) =>
    spec?.template?.spec?.containers?.some(({ image = '' }) => BUNDLE.test(image)),
  );
  return found === undefined
    ? null
    : `Deployment ${found.metadata.namespace}/${found.metadata.name} of Fission`;
}
