import { RotundaError } from '../errors.js';
import { listRunningRotations } from '../store/queries/rotations.js';
import type { DomainChange } from './domain.js';
import type { MachineParts } from './machine.js';
import { toRotation } from './rows.js';
import { start, type StartParts, type StartRequest } from './start.js';
import { takeoverOf, type Turned } from './takeover.js';
import type { Facts, Rotation } from './types.js';
import { findForChange, noteEvent, save, scheduleEffects } from './writing.js';

/**
 * The key of one of the ring's authorities may be somebody else's too: it is tainted for ever, and nothing is signed with
 * it from this moment on. A rotation that runs already is turned into the emergency's where its other authority can take
 * over; otherwise it ends, and the emergency makes an authority of its own. Throws 'conflict' where neither is possible,
 * 'invalid' where it is not said which of two keys is meant.
 */
export async function declare(parts: StartParts, request: StartRequest, actor: string): Promise<Rotation> {
  const { ring, compromised } = request;
  const row = (await listRunningRotations(parts.store.db)).find((running) => running.ring === ring);
  const now = await ringNow(parts, ring);
  if (row === undefined) {
    takeoverOf(undefined, now, compromised);
    return start(parts, request, actor);
  }
  const running = toRotation(row);
  const takeover = takeoverOf(running, now, compromised);
  return takeover.kind === 'turn'
    ? turn(parts, { running, takeover, now }, request, actor)
    : start(parts, request, actor, { rotation: running, ...takeover });
}

/** What a ring signs with and publishes, as the database has it. Throws RotundaError 'not-found'. */
async function ringNow(parts: MachineParts, ring: string): Promise<Facts['ring']> {
  const domain = parts.facts.domain('emergency');
  await domain.reload();
  return (await domain.facts(parts.store.db, { ring, oldKey: '', newKey: '', now: 0 })).ring;
}

type Turning = { readonly running: Rotation; readonly takeover: Turned; readonly now: Facts['ring'] };

async function turn(
  parts: MachineParts,
  { running, takeover, now: { epoch, generation } }: Turning,
  request: StartRequest,
  actor: string,
): Promise<Rotation> {
  const domain = parts.facts.domain('emergency');
  const { ring } = running;
  const { state, oldKey, newKey } = takeover;
  const change: DomainChange = {
    ...{ ring, epoch, taint: oldKey, cross: 'none', frozen: state === 'declared', joinsHeld: state !== 'cut' },
    ...(state === 'cut' ? { destroy: oldKey } : {}),
  };
  const prepared = await domain.prepare(change);
  const turned = await parts.store.write(async (tx) => {
    const now = parts.clock.now().getTime();
    const current = await findForChange(tx, running);
    if (current === undefined || !(await prepared.apply(tx, now))) return undefined;
    // What the other way round was done says nothing any more.
    const marks = oldKey === current.oldKey ? current.marks : {};
    const next: Rotation = {
      ...current,
      ...{ kind: 'emergency', state, version: current.version + 1, epoch: epoch + 1, paused: false, back: false },
      ...{ policy: 'automatic', crossSigned: false, advanced: undefined, disagreement: undefined, oldKey, newKey },
      ...{ options: { ...current.options, ...request.options }, reason: request.reason },
      ...{ marks: { ...marks, [state]: { at: now, generation } }, stateSince: now },
    };
    await save(tx, next, current.version);
    await scheduleEffects(tx, next, ['own-certificates', 'published-objects', 'renewals', 'notify'], now);
    const detail = { verb: 'declare', reason: request.reason, compromised: oldKey };
    await noteEvent(parts, tx, { rotation: next, kind: 'operator', from: current.state, at: now, actor, detail });
    return next;
  });
  if (turned === undefined)
    throw new RotundaError('conflict', `the rotation ${running.id} was changed meanwhile; try again`);
  await domain.reload();
  return turned;
}
