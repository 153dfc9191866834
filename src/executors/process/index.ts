export { requireRuntime, runtimeOf, type RuntimeName } from './images.ts';
export {
  deployKeyOf,
  type DeployedProcessFunction,
  ProcessExecutor,
  type ProcessExecutorOptions,
  type ProcessFile,
  type ProcessSpec,
} from './process-executor.ts';
