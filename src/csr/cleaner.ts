import { RotundaError } from '../errors.js';
import type { Identity } from '../identity/types.js';
import type { WriteTx } from '../store/types.js';
import { type CleanRow, dateRequest, dueRequests, requestsAfter, undatedRequests } from '../store/queries/requests.js';
import { findSetting, putSetting } from '../store/queries/settings.js';
import { remove } from './delete.js';
import { copyOf, parseObject, textOf } from './object.js';
import { type Parts, record, resource, service } from './parts.js';
import { forget } from './past.js';
import { cleanAfter, type Retention } from './retention.js';
import type { Cleaner, CleanStep } from './types.js';

/** Requests per write: it takes a few milliseconds, and no other write waits longer for it. */
const stepSize = 50;
/** A request with finalizers, or one that is being issued at this moment, is looked at again after this. */
const laterMs = 10 * 60_000;
const settingKey = 'requests.retention';

/** Where the work of dating all requests anew has come to. */
type Dating = { after: string; done: boolean; forced: boolean };

/**
 * Cleans up in steps, as upstream's csrcleaner does by and by: first what has no date yet is dated, then what was kept
 * long enough is deleted. Each step is one write that `fence` lets through or not.
 */
export function createCleaner(parts: Parts): Cleaner {
  const dating: Dating = { after: '', done: false, forced: false };
  return {
    step: async (fence) => {
      const now = parts.clock.now().getTime();
      const finalized: CleanRow[] = [];
      const step = await parts.store.write(async (tx) => {
        finalized.length = 0;
        if (!(await fence(tx))) return idle;
        if (!dating.done && (await dateAgain(parts, tx, dating, now))) return again;
        const undated = await undatedRequests(tx.db, stepSize);
        for (const row of undated) await dateRow(parts, tx, row, now);
        return undated.length > 0 ? again : deleteDue(parts, tx, finalized, now);
      });
      for (const row of finalized) await markDeleting(parts, row);
      return step;
    },
    dateAnew: () => {
      Object.assign(dating, { after: '', done: false, forced: true } satisfies Dating);
    },
  };
}

const idle: CleanStep = { deleted: 0, more: false };
const again: CleanStep = { deleted: 0, more: true };

/**
 * Dates were worked out with the retention and the clock of their time. When the configured retention is another, all
 * requests get new ones, page by page; only then it is noted, so that a crash begins again. Tells whether it did a page.
 */
async function dateAgain(parts: Parts, tx: WriteTx, dating: Dating, now: number): Promise<boolean> {
  const wanted = textOfRetention(parts.retention);
  const noted = !dating.forced && (await findSetting(tx.db, settingKey)) === wanted;
  const rows = noted ? [] : await requestsAfter(tx.db, { after: dating.after, limit: stepSize });
  for (const row of rows) await dateRow(parts, tx, row, now);
  const last = rows.at(-1);
  if (last === undefined && !noted) await putSetting(tx.db, settingKey, wanted);
  tx.onCommit(() => {
    Object.assign(dating, last === undefined ? { after: '', done: true, forced: false } : { after: last.name });
  });
  return last !== undefined;
}

function textOfRetention({ issued, denied, pending, approved }: Retention): string {
  return JSON.stringify({ issued, denied, pending, approved });
}

/** A time later than now is of a clock that has been set back since. */
async function dateRow({ retention }: Parts, tx: WriteTx, row: CleanRow, now: number): Promise<void> {
  const times = { created_at: Math.min(row.created_at, now), updated_at: Math.min(row.updated_at, now) };
  await dateRequest(tx.db, row.name, cleanAfter(retention, parseObject(row.object), times));
}

async function deleteDue(parts: Parts, tx: WriteTx, finalized: CleanRow[], now: number): Promise<CleanStep> {
  const rows = await dueRequests(tx.db, { now, limit: stepSize });
  const deleted: Partial<Record<CleanRow['state'], number>> = {};
  let gone = 0;
  for (const row of rows) {
    if (!(await deleteRow(parts, tx, row, { now, finalized }))) continue;
    deleted[row.state] = (deleted[row.state] ?? 0) + 1;
    gone += 1;
  }
  if (gone > 0) {
    await record(parts, tx, {
      action: 'request.cleaned',
      actor: service,
      name: '',
      outcome: 'ok',
      detail: { deleted },
      at: now,
    });
    tx.onCommit(() => {
      for (const [state, count] of Object.entries(deleted)) parts.metrics.requestsCleaned(state, count);
    });
  }
  return { deleted: gone, more: rows.length === stepSize };
}

/** Deletes one request, or says when to look again; tells whether it is gone. */
async function deleteRow(
  parts: Parts,
  tx: WriteTx,
  row: CleanRow,
  { now, finalized }: { now: number; finalized: CleanRow[] },
): Promise<boolean> {
  const { name } = row;
  const request = parseObject(row.object);
  const { finalizers = [], deletionTimestamp } = request.metadata;
  if (finalizers.length > 0 || parts.busy.has(row.uid)) {
    if (finalizers.length > 0 && deletionTimestamp === undefined) finalized.push(row);
    await dateRequest(tx.db, name, now + laterMs);
    return false;
  }
  const revision = tx.nextRevision();
  const object = textOf(copyOf(request), revision);
  await forget(tx, row);
  await tx.publish({ revision, resource, name, type: 'DELETED', object, previous: undefined });
  return true;
}

/** Whoever put the finalizer there takes it off, and the request goes with the last one. */
async function markDeleting(parts: Parts, { name, uid }: CleanRow): Promise<void> {
  const identity: Identity = { kind: 'internal', username: service, uid: '', groups: [], extra: {}, roles: [] };
  try {
    await remove(parts, name, { identity, preconditions: { uid } });
  } catch (error) {
    if (!(error instanceof RotundaError) || (error.code !== 'not-found' && error.code !== 'conflict')) throw error;
  }
}
