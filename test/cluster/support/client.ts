import { KubeClient, loadKubeConfig } from '../../../src/kube/index.ts';

/** Our own client, with the rights of `KUBECONFIG`; close it. */
export async function client(): Promise<KubeClient> {
  return new KubeClient(await loadKubeConfig(process.env['KUBECONFIG']));
}
