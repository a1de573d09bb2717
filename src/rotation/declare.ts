import { RotundaError } from '../errors.js';
import { listRunningRotations } from '../store/queries/rotations.js';
import type { DomainChange } from './domain.js';
import type { MachineParts } from './machine.js';
import { toRotation } from './rows.js';
import { start, type StartParts, type StartRequest } from './start.js';
import type { Rotation, RotationState } from './types.js';
import { findForChange, noteEvent, save, scheduleEffects } from './writing.js';

/** The old authority signs, whichever way the rotation goes. */
const beforeSwitch: readonly RotationState[] = ['staged', 'trusting', 'canary', 'returning', 'untrusting'];
const afterSwitch: readonly RotationState[] = ['issuing', 'drained', 'retrusting'];
const afterRemoval: readonly RotationState[] = ['distrusting', 'cooling'];

/**
 * The key of the ring's old authority may be somebody else's too: it is tainted for ever, and nothing is signed with it
 * from this moment on. A rotation that runs already is turned into the emergency's, with the successor that it has made;
 * otherwise one is started. Throws 'conflict' where neither is possible.
 */
export async function declare(parts: StartParts, request: StartRequest, actor: string): Promise<Rotation> {
  const row = (await listRunningRotations(parts.store.db)).find(({ ring }) => ring === request.ring);
  if (row === undefined) return start(parts, request, actor);
  const running = toRotation(row);
  return turn(parts, running, request, { actor, state: stateOnTakeover(running) });
}

/** How far an emergency is that takes this rotation over. Throws 'conflict' where it cannot. */
export function stateOnTakeover(running: Rotation): 'declared' | 'reissuing' | 'cut' {
  const state = running.kind === 'planned' ? stateFor(running.state) : undefined;
  if (state !== undefined) return state;
  throw new RotundaError(
    'conflict',
    `the rotation ${running.id} (${running.kind}, ${running.state}) cannot be turned into an emergency`,
    {
      hint:
        running.kind === 'emergency'
          ? 'it is one already; a third key is for when this one is over'
          : 'let it come to its end, then declare the emergency',
    },
  );
}

/** How far the emergency is when it begins: what the rotation has done need not be done again. */
function stateFor(state: RotationState): 'declared' | 'reissuing' | 'cut' | undefined {
  if (beforeSwitch.includes(state)) return 'declared';
  if (afterSwitch.includes(state)) return 'reissuing';
  return afterRemoval.includes(state) ? 'cut' : undefined;
}

async function turn(
  parts: MachineParts,
  running: Rotation,
  request: StartRequest,
  { actor, state }: { readonly actor: string; readonly state: 'declared' | 'reissuing' | 'cut' },
): Promise<Rotation> {
  const domain = parts.facts.domain('emergency');
  await domain.reload();
  const { ring, oldKey, newKey } = running;
  const { epoch, generation } = (await domain.facts(parts.store.db, { ring, oldKey, newKey, now: 0 })).ring;
  const change: DomainChange = {
    ...{ ring, epoch, taint: oldKey, cross: 'none', frozen: state === 'declared', joinsHeld: state !== 'cut' },
    ...(state === 'cut' ? { destroy: oldKey } : {}),
  };
  const prepared = await domain.prepare(change);
  const turned = await parts.store.write(async (tx) => {
    const now = parts.clock.now().getTime();
    const current = await findForChange(tx, running);
    if (current === undefined || !(await prepared.apply(tx, now))) return undefined;
    const next: Rotation = {
      ...current,
      ...{ kind: 'emergency', state, version: current.version + 1, epoch: epoch + 1, paused: false, back: false },
      ...{ crossSigned: false, advanced: undefined, options: { ...current.options, ...request.options } },
      ...{ marks: { ...current.marks, [state]: { at: now, generation } }, stateSince: now, reason: request.reason },
    };
    await save(tx, next, current.version);
    await scheduleEffects(tx, next, ['own-certificates', 'published-objects', 'renewals', 'notify'], now);
    const detail = { verb: 'declare', reason: request.reason };
    await noteEvent(parts, tx, { rotation: next, kind: 'operator', from: current.state, at: now, actor, detail });
    return next;
  });
  if (turned === undefined)
    throw new RotundaError('conflict', `the rotation ${running.id} was changed meanwhile; try again`);
  await domain.reload();
  return turned;
}
