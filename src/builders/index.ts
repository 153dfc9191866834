export { type Builder, BuildError, type BuildRequest, type BuildResult } from './builder.ts';
export { TOOLCHAIN_NAMES, toolchainOf, type ToolchainName } from './images.ts';
export { LocalBuilder, type LocalBuilderOptions } from './local/local-builder.ts';
export { PodBuilder, type PodBuilderOptions } from './pods/pod-builder.ts';
