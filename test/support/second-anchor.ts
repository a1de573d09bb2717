import { authorityRows, makeAuthority } from '../../src/ca/authorities.js';
import { bundleRow, loadBundle } from '../../src/ca/bundles.js';
import { serialNumber } from '../../src/ca/issuing.js';
import { createDatabaseKeyStore } from '../../src/ca/keys/key-store.js';
import { readCertificate } from '../../src/ca/x509/certificate.js';
import type { Context } from '../../src/context.js';
import { insertAuthority, insertAuthorityCertificate } from '../../src/store/queries/authorities.js';
import { insertBundle } from '../../src/store/queries/bundles.js';

/**
 * Publishes a bundle of a ring with a second, new anchor beside those that it has: what a rotation begins with. Returns
 * the new anchor, PEM.
 */
export async function addAnchor({ store, kek, clock, random, config }: Context, ring: string): Promise<string> {
  const settings = config.rings.find(({ name }) => name === ring);
  if (settings === undefined) throw new Error(`no ring ${ring}`);
  const now = clock.now().getTime();
  const keys = createDatabaseKeyStore(kek);
  const made = await makeAuthority(settings, 2, { keys, now, serial: serialNumber(random, now) });
  const rows = authorityRows(made, now);
  await store.write(async (tx) => {
    const row = await tx.db.selectFrom('rings').selectAll().where('name', '=', ring).executeTakeFirstOrThrow();
    const before = await loadBundle(tx.db, ring, row.generation);
    const generation = row.generation + 1;
    const anchors = [...before.anchors.map(({ der }) => readCertificate(der)), made.facts];
    await insertAuthority(tx.db, { ...rows.authority, state: 'trusted' });
    await insertAuthorityCertificate(tx.db, rows.certificate);
    await insertBundle(tx.db, bundleRow(ring, generation, anchors, now));
    await tx.db.updateTable('rings').set({ generation }).where('name', '=', ring).execute();
  });
  return `-----BEGIN CERTIFICATE-----\n${made.facts.der.toString('base64')}\n-----END CERTIFICATE-----\n`;
}
