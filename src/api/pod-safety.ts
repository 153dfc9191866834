/**
 * What a pod that runs other people's code may not ask for: the node's own namespaces, folders and accounts,
 * and privileges (Kubernetes' Pod Security Standards; Fission refuses the same); nor the platform's own keys.
 */
import type { Report } from './checks.ts';
import { isObject } from './json.ts';
import type { JsonObject } from './json.ts';
import { whyNotReadable } from './platform-secrets.ts';

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
    const at = `${path}.volumes[${index}]`;
    if (isObject(fieldOf(volume, 'hostPath'))) report(`${at}.hostPath`, 'is not allowed');
    checkSecret(`${at}.secret.secretName`, fieldOf(volume, 'secret', 'secretName'), report);
    listOf(fieldOf(volume, 'projected', 'sources')).forEach((source, other) =>
      checkSecret(`${at}.projected.sources[${other}].secret.name`, fieldOf(source, 'secret', 'name'), report),
    );
  });
  for (const list of ['containers', 'initContainers', 'ephemeralContainers']) {
    listOf(spec[list]).forEach((container, index) =>
      checkContainer(`${path}.${list}[${index}]`, container, report),
    );
  }
}

export function checkContainer(path: string, container: unknown, report: Report): void {
  listOf(fieldOf(container, 'env')).forEach((variable, index) =>
    checkSecret(
      `${path}.env[${index}].valueFrom.secretKeyRef.name`,
      fieldOf(variable, 'valueFrom', 'secretKeyRef', 'name'),
      report,
    ),
  );
  listOf(fieldOf(container, 'envFrom')).forEach((source, index) =>
    checkSecret(`${path}.envFrom[${index}].secretRef.name`, fieldOf(source, 'secretRef', 'name'), report),
  );
  const context = fieldOf(container, 'securityContext');
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

function checkSecret(path: string, name: unknown, report: Report): void {
  const why = whyNotReadable(name);
  if (why !== null) report(path, why);
}

/** What stands at a path of fields; undefined where one of them is no object. */
function fieldOf(value: unknown, ...fields: readonly string[]): unknown {
  return fields.reduce((object, field) => (isObject(object) ? object[field] : undefined), value);
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
