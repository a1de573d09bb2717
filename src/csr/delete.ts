import { RotundaError } from '../errors.js';
import type { WriteTx } from '../store/types.js';
import { changeRequest, findRequest, type RequestRow } from '../store/queries/requests.js';
import { deleteConflict, requestNotFound } from './errors.js';
import { copyOf, parseObject, stateOf, textOf } from './object.js';
import { type Parts, record, resource } from './parts.js';
import { forget } from './past.js';
import { rfc3339 } from './time.js';
import type { CertificateRequest, DeleteOptions, Preconditions } from './types.js';

type Deleted = { readonly text: string; readonly gone: boolean };

/** The garbage collector's finalizers by propagation policy. Requests own nothing, so they are done at once. */
const collected: Readonly<Record<string, string>> = { Foreground: 'foregroundDeletion', Orphan: 'orphan' };

/** Deletes, or with finalizers marks as deleting, as upstream does. Throws 'not-found', 'conflict'. */
export async function remove(parts: Parts, name: string, options: DeleteOptions): Promise<Deleted> {
  const now = parts.clock.now().getTime();
  const finalizer = collected[options.propagationPolicy ?? ''];
  const deleted = await parts.store.write(async (tx) => {
    const row = await findRequest(tx.db, name);
    if (row === undefined) throw requestNotFound(name);
    const stored = parseObject(row.object);
    checkPreconditions(name, options.preconditions, stored);
    const finalizers = withFinalizer(stored.metadata.finalizers ?? [], finalizer);
    if (finalizers.length > 0) return mark(parts, tx, { row, stored, finalizers, options, now });
    if (options.dryRun === true) return { text: row.object, gone: true };
    return erase(parts, tx, { row, stored, actor: options.identity.username, now });
  });
  if (!deleted.gone && finalizer !== undefined && options.dryRun !== true) collect(parts, name);
  return deleted;
}

function withFinalizer(finalizers: readonly string[], added: string | undefined): string[] {
  return added === undefined || finalizers.includes(added) ? [...finalizers] : [...finalizers, added];
}

function checkPreconditions(
  name: string,
  preconditions: Preconditions | undefined,
  { metadata }: CertificateRequest,
): void {
  const { uid, resourceVersion } = preconditions ?? {};
  if (uid !== undefined && uid !== metadata.uid) {
    const text = `the UID in the precondition (${uid}) does not match the UID in record (${metadata.uid})`;
    throw deleteConflict(name, `${text}. The object might have been deleted and then recreated`);
  }
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    const text = `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${metadata.resourceVersion})`;
    throw deleteConflict(name, `${text}. The object might have been modified`);
  }
}

type Deletion = { readonly row: RequestRow; readonly stored: CertificateRequest; readonly now: number };

async function mark(
  parts: Parts,
  tx: WriteTx,
  { row, stored, finalizers, options, now }: Deletion & { finalizers: string[]; options: DeleteOptions },
): Promise<Deleted> {
  if (stored.metadata.deletionTimestamp !== undefined) return { text: row.object, gone: false };
  const request = copyOf(stored);
  Object.assign(request.metadata, { deletionTimestamp: rfc3339(now), deletionGracePeriodSeconds: 0, finalizers });
  if (options.dryRun === true) return { text: JSON.stringify(request), gone: false };
  const { name } = row;
  const revision = tx.nextRevision();
  const text = textOf(request, revision);
  await changeRequest(
    tx.db,
    { ...row, revision, state: stateOf(request), updated_at: now, object: text },
    row.revision,
  );
  await tx.publish({ revision, resource, name, type: 'MODIFIED', object: text, previous: undefined });
  await record(parts, tx, {
    action: 'request.deleting',
    actor: options.identity.username,
    name,
    outcome: 'ok',
    detail: { finalizers },
    at: now,
  });
  return { text, gone: false };
}

async function erase(
  parts: Parts,
  tx: WriteTx,
  { row, stored, actor, now }: Deletion & { actor: string },
): Promise<Deleted> {
  const { name } = row;
  const revision = tx.nextRevision();
  const text = textOf(copyOf(stored), revision);
  await forget(tx, row);
  await tx.publish({ revision, resource, name, type: 'DELETED', object: text, previous: undefined });
  const detail = { signerName: stored.spec.signerName, state: row.state };
  await record(parts, tx, { action: 'request.deleted', actor, name, outcome: 'ok', detail, at: now });
  return { text, gone: true };
}

/** Takes the collector's finalizers off again, as upstream's garbage collector does for an object without dependents. */
function collect(parts: Parts, name: string): void {
  const gone = new Set(Object.values(collected));
  const work = parts.store.write(async (tx) => {
    const row = await findRequest(tx.db, name);
    if (row === undefined) return;
    const stored = parseObject(row.object);
    const finalizers = (stored.metadata.finalizers ?? []).filter((f) => !gone.has(f));
    const now = parts.clock.now().getTime();
    const request = copyOf(stored);
    delete request.metadata.finalizers;
    if (finalizers.length === 0) {
      await erase(parts, tx, {
        row,
        stored: request,
        actor: 'system:serviceaccount:kube-system:generic-garbage-collector',
        now,
      });
      return;
    }
    request.metadata.finalizers = finalizers;
    const revision = tx.nextRevision();
    const text = textOf(request, revision);
    await changeRequest(tx.db, { ...row, revision, updated_at: now, object: text }, row.revision);
    await tx.publish({ revision, resource, name, type: 'MODIFIED', object: text, previous: undefined });
  });
  work.catch((error: unknown) => {
    if (error instanceof RotundaError && error.code === 'unavailable') return;
    parts.logger.error({ err: error, request: name }, 'finalizers of a deleted request could not be taken off');
  });
}
