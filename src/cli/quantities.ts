/** Fission's resource flags, which are bare numbers, as Kubernetes quantities. */
import { usageError } from './command.ts';

type Quantities = Record<string, string | number>;

interface Resources {
  limits?: Quantities;
  requests?: Quantities;
  claims?: { name: string; request?: string }[];
}

export interface ResourceFlags {
  /** Thousandths of a core. */
  readonly mincpu: string | undefined;
  readonly maxcpu: string | undefined;
  /** MiB. */
  readonly minmemory: string | undefined;
  readonly maxmemory: string | undefined;
}

/** The resources with what the flags say, or as they are if no flag was given. */
export function resourcesOf(current: Resources | undefined, flags: ResourceFlags): Resources | undefined {
  const requests: Quantities = {
    ...current?.requests,
    ...quantity('cpu', 'mincpu', flags.mincpu, 'm'),
    ...quantity('memory', 'minmemory', flags.minmemory, 'Mi'),
  };
  const limits: Quantities = {
    ...current?.limits,
    ...quantity('cpu', 'maxcpu', flags.maxcpu, 'm'),
    ...quantity('memory', 'maxmemory', flags.maxmemory, 'Mi'),
  };
  const result = {
    ...current,
    ...(Object.keys(requests).length === 0 ? {} : { requests }),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
  };
  return Object.keys(result).length === 0 ? undefined : result;
}

/** A bare number is Fission's unit; a quantity with its own suffix (`256Mi`, `0.5`) is taken as written. */
function quantity(resource: string, option: string, value: string | undefined, unit: string): Quantities {
  if (value === undefined) return {};
  if (/^[1-9]\d*$/.test(value)) return { [resource]: `${value}${unit}` };
  if (/^\d+(\.\d+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)$/.test(value)) return { [resource]: value };
  const example = unit === 'm' ? '500 (half a core) or 500m' : '128 (MiB) or 128Mi';
  throw usageError(
    `--${option} is ${JSON.stringify(value)}: allowed is a number of 1 or more, like ${example}`,
  );
}
