/** Where a standalone platform's listeners are: beside its kubeconfig, since through the API every byte goes twice. */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const FILE = 'addresses.json';

export interface ListenerAddresses {
  /** The public listener, without a slash at its end. */
  readonly router: string;
  readonly internal: string;
}

/** Written when the platform is ready. @throws Error where the folder cannot be written */
export function writeAddresses(kubeconfig: string, { router, internal }: ListenerAddresses): void {
  const file = join(dirname(kubeconfig), FILE);
  writeFileSync(file, `${JSON.stringify({ router, internal })}\n`, { mode: 0o600 });
}

/** What the platform of that kubeconfig wrote; null where it wrote nothing, as on a cluster. */
export function readAddresses(kubeconfig: string): ListenerAddresses | null {
  try {
    const found = JSON.parse(
      readFileSync(join(dirname(kubeconfig), FILE), 'utf8'),
    ) as Partial<ListenerAddresses>;
    const { router, internal } = found;
    return typeof router === 'string' && typeof internal === 'string' ? { router, internal } : null;
  } catch {
    return null;
  }
}
