import { pino } from 'pino';

import { openStore } from '../../src/store/index.js';

// Writes without a pause to the store named as argument, and says on stdout what was acknowledged, until it is killed.

const store = await openStore({
  url: process.argv[2] ?? '',
  logger: pino({ level: 'silent' }),
  clock: { now: () => new Date() },
});
let next = 0;

async function work(): Promise<void> {
  for (;;) {
    const key = `${String(process.pid)}-${String((next += 1))}`;
    const revision = await store.write(async (tx) => {
      const taken = tx.nextRevision();
      await tx.db
        .insertInto('settings')
        .values({ key, value: String(taken) })
        .execute();
      await tx.publish({
        revision: taken,
        resource: 'things',
        name: key,
        type: 'ADDED',
        object: key,
        previous: undefined,
      });
      return taken;
    });
    process.stdout.write(`${key} ${String(revision)}\n`);
  }
}

process.stdout.write('ready\n');
await Promise.all(Array.from({ length: 12 }, work));
