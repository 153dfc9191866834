/** An image as containerd imports it: a tar of an OCI image layout, one uncompressed blob for each layer. */
import { createHash } from 'node:crypto';
import { readFile, rename } from 'node:fs/promises';
import type { Layer } from './layers.ts';
import { TarWriter } from './tar.ts';

export interface ImageConfig {
  readonly entrypoint?: readonly string[];
  readonly cmd?: readonly string[];
  readonly env?: readonly string[];
  readonly workingDir?: string;
  /** `uid:gid`, as numbers. */
  readonly user?: string;
}

const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/**
 * Writes `file`, an archive of the image `name` (with its tag), and gives the manifest's digest.
 * @param present digests of layers that the receiver has and that are left out
 */
export async function writeImage(
  file: string,
  name: string,
  layers: readonly Layer[],
  config: ImageConfig,
  present: ReadonlySet<string> = new Set(),
): Promise<string> {
  const tar = await TarWriter.create(`${file}.new`);
  const blob = async (mediaType: string, value: object): Promise<Descriptor> => {
    const bytes = Buffer.from(JSON.stringify(value));
    const digest = createHash('sha256').update(bytes).digest('hex');
    await tar.file(`blobs/sha256/${digest}`, bytes);
    return { mediaType, digest: `sha256:${digest}`, size: bytes.length };
  };
  await tar.file('oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
  const platform = { architecture: ARCHITECTURES[process.arch] ?? process.arch, os: 'linux' };
  const { entrypoint, cmd, env = [], workingDir, user } = config;
  const configBlob = await blob('application/vnd.oci.image.config.v1+json', {
    ...platform,
    config: {
      Env: [...(env.some((line) => line.startsWith('PATH=')) ? [] : [DEFAULT_PATH]), ...env],
      ...(entrypoint && { Entrypoint: entrypoint }),
      ...(cmd && { Cmd: cmd }),
      ...(workingDir && { WorkingDir: workingDir }),
      ...(user && { User: user }),
    },
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => `sha256:${digest}`) },
  });
  const manifest = await blob('application/vnd.oci.image.manifest.v1+json', {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: configBlob,
    layers: layers.map(({ digest, size }) => ({
      mediaType: 'application/vnd.oci.image.layer.v1.tar',
      digest: `sha256:${digest}`,
      size,
    })),
  });
  const annotations = {
    'io.containerd.image.name': name,
    'org.opencontainers.image.ref.name': name.slice(name.lastIndexOf(':') + 1),
  };
  const index = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [{ ...manifest, platform, annotations }],
  };
  await tar.file('index.json', Buffer.from(JSON.stringify(index)));
  for (const { file: source, digest } of layers) {
    if (!present.has(digest)) await tar.file(`blobs/sha256/${digest}`, await readFile(source));
  }
  await tar.close();
  await rename(`${file}.new`, file);
  return manifest.digest;
}
