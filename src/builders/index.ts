export { type Builder, BuildError, type BuildRequest, type BuildResult } from './builder.ts';
export { toolchainOf, type ToolchainName } from './images.ts';
export { LocalBuilder, type LocalBuilderOptions } from './local/local-builder.ts';
