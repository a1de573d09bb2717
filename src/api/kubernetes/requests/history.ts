import type { CertificateRequest } from '../../../csr/types.js';
import { RotundaError } from '../../../errors.js';
import { changeFloor } from '../../../store/queries/changes.js';
import type { Store } from '../../../store/types.js';
import { resource } from '../kinds.js';
import { matchesSelection, type Selection } from '../selectors.js';

/** Most objects changed since then that are looked up one by one. */
const mostChanged = 5_000;

/**
 * The stored texts as they were at a version: today's rows that have not changed since, and for the others their newest
 * entry in the change log up to then. Throws 'expired' when the log does not say.
 */
export async function listAt(store: Store, revision: number, selection: Selection): Promise<string[]> {
  const expired = (): RotundaError =>
    new RotundaError('expired', 'The resourceVersion for the provided list is too old.', {});
  const { db } = store;
  const later = await db
    .selectFrom('changes')
    .select('name')
    .distinct()
    .where('resource', '=', resource)
    .where('revision', '>', revision)
    .limit(mostChanged + 1)
    .execute();
  if (later.length > mostChanged) throw expired();
  if ((await changeFloor(db)) > revision) throw expired();
  const texts = new Map<string, string>();
  const unchanged = await db
    .selectFrom('requests')
    .select(['name', 'object'])
    .where('revision', '<=', revision)
    .execute();
  for (const row of unchanged) texts.set(row.name, row.object);
  for (const { name } of later) {
    const then = await db
      .selectFrom('changes')
      .select(['type', 'object'])
      .where('resource', '=', resource)
      .where('name', '=', name)
      .where('revision', '<=', revision)
      .orderBy('revision', 'desc')
      .executeTakeFirst();
    // An object whose earlier entries are gone from the log was there, but nobody knows how.
    if (then === undefined && (await firstAfter(store, name, revision)) !== 'ADDED') throw expired();
    texts.delete(name);
    if (then !== undefined && then.type !== 'DELETED') texts.set(name, then.object);
  }
  const names = [...texts.keys()].sort();
  return names
    .map((name) => texts.get(name) ?? '')
    .filter((text) => selection.everything || matchesSelection(selection, JSON.parse(text) as CertificateRequest));
}

async function firstAfter({ db }: Store, name: string, revision: number): Promise<string | undefined> {
  const found = await db
    .selectFrom('changes')
    .select('type')
    .where('resource', '=', resource)
    .where('name', '=', name)
    .where('revision', '>', revision)
    .orderBy('revision')
    .executeTakeFirst();
  return found?.type;
}
