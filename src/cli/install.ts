/** `fissium install`: the platform on the cluster of the current context, from the manifest that the package ships. */
import { RESOURCES } from './cluster.ts';
import { defineCommand } from './command.ts';
import { CliError } from './errors.ts';
import { findForeignFission } from './install/foreign-fission.ts';
import { installObjects, readManifest, resourceOf } from './install/manifest.ts';
import { rolledOut } from './install/rollout.ts';
import { duration, flag, text, withDefault } from './options.ts';

const FIELD_MANAGER = 'fissium-install';

export const install = defineCommand({
  name: 'install',
  summary: 'Install or upgrade the platform on the current cluster',
  description: [
    'Applies the CustomResourceDefinitions and the manifest of this version by server-side apply, and waits until',
    'every part runs. The same as the Helm chart with its default values; use the chart to change more.',
    "Refuses where Fission's own controllers run: both would act on the same resources.",
  ].join('\n'),
  options: {
    image: text('image', 'The platform’s image [default: that of this version]', { placeholder: 'image' }),
    installNamespace: text('install-namespace', 'Namespace of the platform itself [default: fission]', {
      placeholder: 'namespace',
    }),
    dryRun: withDefault(flag('dry', 'Print the objects and change nothing'), false),
    timeout: withDefault(
      duration('timeout', 'How long to wait until every part runs; 0s: not at all'),
      180_000,
    ),
  },
  async handler({ image, installNamespace, dryRun, timeout }, { connect, out }) {
    const objects = installObjects(await readManifest(), {
      ...(image === undefined ? {} : { image }),
      ...(installNamespace === undefined ? {} : { namespace: installNamespace }),
    });
    if (dryRun) {
      for (const object of objects) {
        out.line('---');
        await out.yaml(object);
      }
      return;
    }
    const cluster = await connect();
    const foreign = await findForeignFission(cluster);
    if (foreign !== null) {
      throw new CliError(`${foreign} runs in this cluster`, {
        why: "Fission's own controllers and Fissium's would act on the same resources",
        fix: 'uninstall Fission first (helm uninstall); its resources and their definitions may stay',
      });
    }
    const progress = out.progress('applying');
    for (const object of objects) {
      const type = resourceOf(object);
      progress.update(`${type.kind} ${object.metadata.name}`);
      await cluster.client.apply(type, object, { fieldManager: FIELD_MANAGER });
    }
    progress.end();
    const deployments = objects.filter(({ kind }) => kind === RESOURCES.deployments.kind);
    if (timeout > 0) await rolledOut(cluster, deployments, { timeoutMs: timeout, out });
    const [first] = deployments;
    out.line(
      `fissium is installed in namespace ${first?.metadata.namespace ?? ''} (${objects.length} objects)`,
    );
    out.line('next: fissium check, then fissium environment create --name wasm --image wasm');
  },
});
