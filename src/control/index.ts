export { type Control, type ControlOptions, startControl } from './control.ts';
export { ensureDefaults } from './defaults.ts';
export type {
  Clock,
  FunctionTablePort,
  GuestLogPort,
  HostPort,
  PreparedPackage,
  PreparerPort,
  ProcessPort,
  RouteTablePort,
} from './ports.ts';
