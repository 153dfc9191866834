/** Images as containerd imports them: a tar of an OCI image layout, one uncompressed blob for each layer. */
import { createHash } from 'node:crypto';
import type { Layer } from './layers.ts';
import type { TarWriter } from './tar.ts';

export interface ImageConfig {
  readonly entrypoint?: readonly string[];
  readonly cmd?: readonly string[];
  readonly env?: readonly string[];
  readonly workingDir?: string;
  /** `uid:gid`, as numbers. */
  readonly user?: string;
}

export interface Image {
  /** With its tag. */
  readonly name: string;
  readonly layers: readonly Layer[];
  readonly config: ImageConfig;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const TYPES = 'application/vnd.oci.image';
const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };
const PLATFORM = { architecture: ARCHITECTURES[process.arch] ?? process.arch, os: 'linux' };

/**
 * Writes one archive of several images, each layer once.
 * @param present digests (hex) of the layers that the receiver has, which are left out
 */
export async function writeImages(
  tar: TarWriter,
  images: readonly Image[],
  present: ReadonlySet<string>,
): Promise<void> {
  const blob = async (type: string, value: object): Promise<Descriptor> => {
    const bytes = Buffer.from(JSON.stringify(value));
    const digest = createHash('sha256').update(bytes).digest('hex');
    await tar.file(`blobs/sha256/${digest}`, bytes);
    return { mediaType: `${TYPES}.${type}`, digest: `sha256:${digest}`, size: bytes.length };
  };
  await tar.file('oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
  const manifests: object[] = [];
  for (const { name, layers, config } of images) {
    const manifest = await blob('manifest.v1+json', {
      schemaVersion: 2,
      mediaType: `${TYPES}.manifest.v1+json`,
      config: await blob('config.v1+json', configOf(layers, config)),
      layers: layers.map(({ digest, size }) => ({
        mediaType: `${TYPES}.layer.v1.tar`,
        digest: `sha256:${digest}`,
        size,
      })),
    });
    const annotations = {
      'io.containerd.image.name': name,
      'org.opencontainers.image.ref.name': name.slice(name.lastIndexOf(':') + 1),
    };
    manifests.push({ ...manifest, platform: PLATFORM, annotations });
  }
  const index = { schemaVersion: 2, mediaType: `${TYPES}.index.v1+json`, manifests };
  await tar.file('index.json', Buffer.from(JSON.stringify(index)));
  for (const { file, digest } of images.flatMap(({ layers }) => layers)) {
    if (!present.has(digest)) await tar.copy(file, `blobs/sha256/${digest}`);
  }
  await tar.end();
}

function configOf(layers: readonly Layer[], config: ImageConfig): object {
  const { entrypoint, cmd, env = [], workingDir, user } = config;
  return {
    ...PLATFORM,
    config: {
      Env: [DEFAULT_PATH, ...env],
      ...(entrypoint && { Entrypoint: entrypoint }),
      ...(cmd && { Cmd: cmd }),
      ...(workingDir && { WorkingDir: workingDir }),
      ...(user && { User: user }),
    },
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => `sha256:${digest}`) },
  };
}
