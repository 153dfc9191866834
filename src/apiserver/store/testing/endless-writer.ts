/** Writes objects for ever, several at once, and says each one that was acknowledged. Killed by its test. */
import { configMap, keyOf } from '../../testing/objects.ts';
import { Store } from '../store.ts';

const [path = ''] = process.argv.slice(2);
// Little history, so that compaction is hit as well.
const store = new Store({ path, historyChanges: 50 });
const start = store.count('configmaps');

for (let round = 0; ; round++) {
  const names = Array.from({ length: 5 }, (_, index) => `n${start}-${round}-${index}`);
  const written = names.map(async (name) => {
    await store.write((transaction) =>
      transaction.put(keyOf(name), configMap(name, { padding: 'x'.repeat(2000) })),
    );
    process.stdout.write(`${name}\n`);
  });
  await Promise.all(written);
  await store.write((transaction) =>
    transaction.put(keyOf('hot'), configMap('hot', { round: String(round) })),
  );
}
