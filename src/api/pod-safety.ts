/**
 * What a pod that runs other people's code may not ask for: the node's own namespaces, folders and accounts,
 * and privileges (Kubernetes' Pod Security Standards; Fission refuses the same).
 */
import type { Report } from './checks.ts';
import { isObject } from './json.ts';
import type { JsonObject } from './json.ts';

const ALLOWED_CAPABILITY = 'NET_BIND_SERVICE';

export function checkPodSpec(path: string, spec: JsonObject | undefined, report: Report): void {
  if (spec === undefined) return;
  for (const name of ['hostNetwork', 'hostPID', 'hostIPC']) {
    if (spec[name] === true) report(`${path}.${name}`, 'is not allowed');
  }
  for (const name of ['serviceAccountName', 'serviceAccount']) {
    const account = spec[name];
    if (account !== undefined && account !== null && account !== '') {
      report(`${path}.${name}`, "is not allowed: pods run with the platform's account");
    }
  }
  listOf(spec['volumes']).forEach((volume, index) => {
    if (isObject(volume) && isObject(volume['hostPath'])) {
      report(`${path}.volumes[${index}].hostPath`, 'is not allowed');
    }
  });
  for (const list of ['containers', 'initContainers', 'ephemeralContainers']) {
    listOf(spec[list]).forEach((container, index) =>
      checkContainer(`${path}.${list}[${index}]`, container, report),
    );
  }
}

export function checkContainer(path: string, container: unknown, report: Report): void {
  const context = isObject(container) ? container['securityContext'] : undefined;
  if (!isObject(context)) return;
  for (const name of ['privileged', 'allowPrivilegeEscalation']) {
    if (context[name] === true) report(`${path}.securityContext.${name}`, 'must not be true');
  }
  const capabilities = isObject(context['capabilities']) ? listOf(context['capabilities']['add']) : [];
  capabilities.forEach((capability, index) => {
    if (capability !== ALLOWED_CAPABILITY) {
      report(
        `${path}.securityContext.capabilities.add[${index}]`,
        `must be ${ALLOWED_CAPABILITY}, the only one allowed`,
      );
    }
  });
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
