import { performEffects, type EffectHandlers } from '../../../src/rotation/effects.js';
import { loadServingCertificate, type ServingCertificate } from '../../../src/service/serving-certificate.js';
import type { Context } from '../../../src/context.js';
import { movedClock, type Rig, startRig } from '../support.js';
import type { Place } from './databases.js';
import { type Crash, type Faults, withFaults } from './faults.js';

export type ServiceOptions = {
  readonly place: Place;
  readonly clock?: Rig['clock'];
  readonly config?: Readonly<Record<string, unknown>>;
};

/** What a rotation does outside the database, as somebody who looks from there sees it. */
export type Outside = {
  /** Digest of the bundle that was last given out, by ring. */
  readonly published: Map<string, string>;
  /** How often each effect was done, by its id. */
  readonly done: Map<string, number>;
};

/** A service without a listener, that can die at any write and come back on the same database. */
export type Service = {
  readonly clock: Rig['clock'];
  readonly outside: Outside;
  /** Of the present process. */
  context(): Context;
  rig(): Rig;
  serving(): ServingCertificate;
  faults(): Faults;
  /** What its timers do: says which bundles it goes by, looks at requests that wait, steps, does what steps left to do. */
  turn(): Promise<number>;
  /** Runs `work` in a process that dies at a write of it, and opens another. Answers whether it came to that. */
  crashing(crash: Crash, work: () => Promise<unknown>): Promise<boolean>;
  reopen(): Promise<void>;
  close(): Promise<void>;
};

type Process = { readonly rig: Rig; readonly faults: Faults; readonly serving: ServingCertificate };

export async function openService({ place, clock = movedClock(), config }: ServiceOptions): Promise<Service> {
  const outside: Outside = { published: new Map(), done: new Map() };
  const open = async (): Promise<Process> => {
    const rig = await startRig({ ...place, clock, ...(config !== undefined && { config }) });
    const faults = withFaults(rig.context.store);
    await rig.context.ca.recover();
    return { rig, faults, serving: await loadServingCertificate(rig.context) };
  };
  let process = await open();
  const reopen = async (): Promise<void> => {
    await process.rig.context.close();
    process = await open();
  };
  return {
    ...{ clock, outside, reopen },
    rig: () => process.rig,
    context: () => process.rig.context,
    serving: () => process.serving,
    faults: () => process.faults,
    turn: () => turn(process, outside),
    crashing: async (crash, work) => {
      const died = process.faults.arm(crash).then(() => true);
      const ended = work().then(() => false);
      // What the dead process still does is nobody's concern.
      ended.catch(() => undefined);
      const crashed = await Promise.race([died, ended]);
      process.faults.disarm();
      if (crashed) await reopen();
      return crashed;
    },
    close: () => process.rig.close(),
  };
}

/** More than what one transition can let follow at once. */
const mostRounds = 4;

async function turn({ rig, serving }: Process, outside: Outside): Promise<number> {
  const { context, replica } = rig;
  await context.ca.recover();
  await replica.report();
  await context.requests.reconsider({ due: true });
  const fence = (): Promise<boolean> => Promise.resolve(true);
  let all = 0;
  for (let round = 0; round < mostRounds; round += 1) {
    const steps = await context.rotations.step(fence);
    all += steps;
    await performEffects(context, handlersOf(context, serving, outside), fence);
    if (steps === 0) break;
    await replica.report();
  }
  return all;
}

function handlersOf(context: Context, serving: ServingCertificate, { published, done }: Outside): EffectHandlers {
  const note =
    (act: (ring: string) => Promise<unknown> | undefined) =>
    async ({ id, ring }: { readonly id: string; readonly ring: string }): Promise<void> => {
      await act(ring);
      done.set(id, (done.get(id) ?? 0) + 1);
    };
  const nothing = note(() => undefined);
  return {
    'own-certificates': note(() => serving.renewIfDue()),
    'published-objects': note((ring) => {
      published.set(ring, context.ca.bundle(ring).digest);
      return undefined;
    }),
    ...{ renewals: nothing, probes: nothing, copies: nothing, notify: nothing },
  };
}
