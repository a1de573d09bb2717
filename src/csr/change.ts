import { isDeepStrictEqual } from 'node:util';

import type { Identity } from '../identity/types.js';
import type { WriteTx } from '../store/types.js';
import { changeRequest, findRequest, findRequestObject, type RequestRow } from '../store/queries/requests.js';
import { admitApproval, admitSigning } from './admission.js';
import { mayDecide, namesForRecord } from './approver.js';
import { hasCondition } from './conditions.js';
import { requestConflict, requestNotFound } from './errors.js';
import { withoutHold } from './hold.js';
import { updatedFields } from './managed-fields.js';
import { parseObject, stateOf, textOf } from './object.js';
import { type Parts, record, resource } from './parts.js';
import { admitProxied, type Reviewed, reviewed } from './permission.js';
import { forget } from './past.js';
import { rfc3339 } from './time.js';
import type { CertificateRequest, Condition, UpdateOptions } from './types.js';
import { isSame, prepareUpdate, validateUpdate } from './update.js';

const modified = 'the object has been modified; please apply your changes to the latest version and try again';

type Edit = {
  readonly name: string;
  readonly change: (current: CertificateRequest) => CertificateRequest;
  readonly options: UpdateOptions;
};
export type Changed = { readonly text: string; readonly approved: boolean };

/** Read, change, check, write in one transaction, in upstream's order of checks. */
export async function update(parts: Parts, edit: Edit): Promise<Changed> {
  const { name, options } = edit;
  const { endpoint, identity } = options;
  // Names for the record are read out of the CSR before the transaction: it is no place for a signature check.
  const isRead = endpoint === 'approval' || (endpoint === 'status' && identity.proxied !== undefined);
  const names = isRead ? await namesForRecord(parts, name) : undefined;
  const permission = await reviewed(parts, options, names);
  const now = parts.clock.now().getTime();
  return parts.store.write(async (tx) => {
    const row = await findRequest(tx.db, name);
    if (row === undefined) throw requestNotFound(name);
    // Another request took the name since: its names are not those that were read.
    if (isRead && names?.uid !== row.uid) throw requestConflict(name, modified);
    const stored = parseObject(row.object);
    const prepared = preparedEdit(parts, edit, { stored, permission, now });
    mayDecide(parts, identity, prepared, stored, { names, everything: permission?.everything ?? false });
    if (isSame(prepared, stored)) return { text: row.object, approved: false };
    if (options.dryRun === true) return { text: JSON.stringify(prepared), approved: false };
    return write(parts, tx, {
      row,
      stored,
      prepared,
      options,
      now,
      names: endpoint === 'approval' ? names?.text : undefined,
    });
  });
}

function preparedEdit(
  parts: Parts,
  { name, change, options }: Edit,
  { stored, permission, now }: { stored: CertificateRequest; permission: Reviewed | undefined; now: number },
): CertificateRequest {
  const { endpoint, identity } = options;
  const wanted = change(structuredClone(stored));
  checkPreconditions(name, wanted, stored);
  const edited = prepareUpdate(endpoint, wanted, stored, rfc3339(now));
  validateUpdate(endpoint, edited, stored);
  admitProxied(parts, options, stored, edited);
  if (endpoint === 'approval') admitApproval(identity, name, stored.spec.signerName, permission);
  if (endpoint === 'status') admitSigning(identity, stored, edited, permission);
  const decided = stateOf(stored) === 'pending' && stateOf(edited) !== 'pending';
  return updatedFields(decided ? withoutHold(edited) : edited, stored, options, rfc3339(now));
}

function checkPreconditions(name: string, wanted: CertificateRequest, stored: CertificateRequest): void {
  const { uid, resourceVersion } = wanted.metadata;
  if (uid && uid !== stored.metadata.uid) {
    const key = `/registry/certificatesigningrequests/${name}`;
    const text = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${stored.metadata.uid}`;
    throw requestConflict(
      name,
      `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: ${text}`,
    );
  }
  if (resourceVersion && resourceVersion !== stored.metadata.resourceVersion) throw requestConflict(name, modified);
}

type Write = {
  readonly row: RequestRow;
  readonly stored: CertificateRequest;
  readonly prepared: CertificateRequest;
  readonly options: UpdateOptions;
  readonly now: number;
  readonly names: readonly string[] | undefined;
};

async function write(
  parts: Parts,
  tx: WriteTx,
  { row, stored, prepared, options, now, names }: Write,
): Promise<Changed> {
  const { name } = row;
  const revision = tx.nextRevision();
  const text = textOf(prepared, revision);
  const labelsChanged = !isDeepStrictEqual(prepared.metadata.labels ?? {}, stored.metadata.labels ?? {});
  const change = { revision, resource, name, object: text, previous: labelsChanged ? row.object : undefined };
  const gone = prepared.metadata.deletionTimestamp !== undefined && (prepared.metadata.finalizers ?? []).length === 0;
  const state = stateOf(prepared);
  if (gone) {
    await forget(tx, row);
    await tx.publish({ ...change, type: 'DELETED' });
  } else {
    const held = state === 'pending' ? { held: row.held, retry_at: row.retry_at } : { held: 0, retry_at: null };
    const kept = { name, revision, state, ...held, serial: row.serial, updated_at: now, object: text };
    await changeRequest(tx.db, kept, row.revision);
    await tx.publish({ ...change, type: 'MODIFIED' });
  }
  const event = eventOf(options, stored, prepared);
  const outcome = event === 'request.approved' ? 'approved' : event === 'request.denied' ? 'denied' : 'ok';
  const { signerName } = stored.spec;
  const detail = { signerName, ...(names === undefined ? {} : { names }) };
  await record(parts, tx, { action: event, actor: options.identity.username, name, outcome, detail, at: now });
  if (outcome !== 'ok' && parts.profiles.has(signerName))
    tx.onCommit(() => {
      parts.metrics.requestDecided(signerName, outcome);
    });
  return { text, approved: !gone && state === 'approved' && row.state !== 'approved' };
}

function eventOf({ endpoint }: UpdateOptions, stored: CertificateRequest, prepared: CertificateRequest): string {
  if (endpoint === 'approval') {
    const verdict = ['Approved', 'Denied'].find((type) => hasCondition(prepared, type) && !hasCondition(stored, type));
    if (verdict !== undefined) return verdict === 'Approved' ? 'request.approved' : 'request.denied';
  }
  return endpoint === 'status' ? 'request.status-updated' : 'request.updated';
}

/** Adds the condition that kubectl would add. Deciding the same again changes nothing. */
export function verdictChange(
  verdict: 'Approved' | 'Denied',
  { identity, reason, message }: { identity: Identity; reason?: string; message?: string },
): Edit['change'] {
  const word = verdict === 'Approved' ? 'approved' : 'denied';
  const condition: Condition = {
    type: verdict,
    status: 'True',
    reason: reason ?? (verdict === 'Approved' ? 'RotundaApprove' : 'RotundaDeny'),
    message: message ?? `This request was ${word} by ${identity.username}.`,
  };
  return (current) => {
    if (hasCondition(current, verdict)) return current;
    return { ...current, status: { ...current.status, conditions: [...(current.status.conditions ?? []), condition] } };
  };
}

/** The stored text. Throws 'not-found'. */
export async function textByName(parts: Parts, name: string): Promise<string> {
  const text = await findRequestObject(parts.store.db, name);
  if (text === undefined) throw requestNotFound(name);
  return text;
}
