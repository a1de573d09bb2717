import type { Clock } from '../../clock.js';
import type { Identity } from '../../identity/types.js';
import { isUnlimited } from '../../limits/callers.js';
import { tooMany } from '../../limits/too-many.js';
import type { Metrics } from '../../metrics.js';
import { type Admission, createAdmission, nextWindow, type Rate } from './admission.js';
import { slotIn } from './slot.js';

export type WaitingRoom = {
  /**
   * Resolves when who renews with this identity's certificate may go on; others than machines with a certificate always
   * may. Throws 'too-many-requests' with the time of its own slot in the next window.
   */
  admit(identity: Identity): Promise<void>;
};

type Options = { readonly rate: Rate; readonly clock: Clock; readonly metrics: Pick<Metrics, 'limited'> };

type Guest = {
  readonly serial: string;
  readonly notAfter: number;
  readonly go: () => void;
  readonly leave: (error: Error) => void;
  readonly patience: NodeJS.Timeout;
};

const mostWaiting = 1000;
/** A call is held for no longer than a client takes for a slow answer. */
const longestWaitMs = 5000;
const mostRemembered = 50_000;

/**
 * Lets renewals through at a steady rate, those that expire first before the others. Who does not get in within seconds, or
 * finds the room full of earlier ends, comes again in the next window of what is left of its life; who comes before that while others
 * wait is sent back at once: one try a window.
 */
export function createWaitingRoom({ rate, clock, metrics }: Options): WaitingRoom {
  const steady = (): number => clock.monotonic?.() ?? clock.now().getTime();
  const admission = createAdmission(rate, steady());
  const guests = new Map<number, Guest>();
  const told = new Map<string, number>();
  let lastId = 0;
  let timer: NodeJS.Timeout | undefined;

  const refusal = ({ serial, notAfter }: Pick<Guest, 'serial' | 'notAfter'>): Error => {
    const now = clock.now().getTime();
    const known = told.get(serial) ?? 0;
    const window = nextWindow(notAfter, now);
    const at = known > now ? known : slotIn(window, serial, String(Math.floor(window.from)));
    told.delete(serial);
    told.set(serial, at);
    if (told.size > mostRemembered) for (const oldest of told.keys()) if (told.delete(oldest)) break;
    metrics.limited('renewals');
    return tooMany('too many certificates are being renewed, please try again at the given time', at - now);
  };
  const turnAway = (id: number): void => {
    const guest = guests.get(id);
    if (guest === undefined) return;
    guests.delete(id);
    clearTimeout(guest.patience);
    guest.leave(refusal(guest));
  };
  const letIn = (): void => {
    timer = undefined;
    for (let id = admission.next(steady()); id !== undefined; id = admission.next(steady())) {
      const guest = guests.get(id);
      guests.delete(id);
      clearTimeout(guest?.patience);
      if (guest !== undefined) told.delete(guest.serial);
      guest?.go();
    }
    if (admission.queue.size() > 0) timer = setTimeout(letIn, Math.max(1, admission.wait(steady())));
  };
  const wait = ({ serial, notAfter }: { serial: string; notAfter: number }): Promise<void> =>
    new Promise((go, leave) => {
      lastId = (lastId + 1) % 2 ** 31;
      const id = lastId;
      const patience = setTimeout(() => {
        admission.queue.remove(id);
        turnAway(id);
      }, longestWaitMs);
      guests.set(id, { serial, notAfter, go, leave, patience });
      admission.queue.push(id, notAfter);
      if (admission.queue.size() > mostWaiting) turnAway(admission.queue.popLatest() ?? id);
      if (timer === undefined) letIn();
    });
  return {
    admit: async (identity) => {
      const { certificate, node, member } = identity;
      if (certificate === undefined || (node === undefined && member === undefined) || isUnlimited(identity)) return;
      if (isEarly(admission, certificate, { told, now: clock.now().getTime(), steady: steady() }))
        throw refusal(certificate);
      await wait(certificate);
    },
  };
}

function isEarly(
  admission: Admission,
  { serial }: { readonly serial: string },
  { told, now, steady }: { readonly told: ReadonlyMap<string, number>; readonly now: number; readonly steady: number },
): boolean {
  return (told.get(serial) ?? 0) > now && (admission.queue.size() > 0 || admission.wait(steady) > 0);
}
