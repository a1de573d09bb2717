import { copyKey } from '../../../src/rotation/planning/restarts.js';
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
  /** What was there before. */
  readonly outside?: Outside;
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
  readonly rig: () => Rig;
  serving(): ServingCertificate;
  faults(): Faults;
  /** What its timers do: says which bundles it goes by, looks at requests that wait, steps, does what steps left to do. */
  turn(): Promise<number>;
  /** Runs `work` in a process that dies at a write of it, and opens another. Answers whether it came to that. */
  crashing(crash: Crash, work: () => Promise<unknown>): Promise<boolean>;
  reopen(): Promise<void>;
  close(): Promise<void>;
};

type Process = {
  readonly rig: Rig;
  readonly faults: Faults;
  readonly serving: ServingCertificate;
  /** When it last said by which bundles it goes, and which those were; when it last gave up what a crash left. */
  told: { readonly at: number; readonly bundles: string };
  recoveredAt: number;
};

/** A replica that says nothing for longer is taken for dead after a while. */
const tellAfterMs = 45_000;
const recoverAfterMs = 10 * 60_000;

export async function openService(options: ServiceOptions): Promise<Service> {
  const { place, clock = movedClock(), config } = options;
  const outside: Outside = {
    published: new Map(options.outside?.published),
    done: new Map(options.outside?.done),
  };
  const open = async (): Promise<Process> => {
    const rig = await startRig({ ...place, clock, ...(config !== undefined && { config }) });
    const faults = withFaults(rig.context.store);
    await rig.context.ca.recover();
    const serving = await loadServingCertificate(rig.context);
    const at = clock.now().getTime();
    return { rig, faults, serving, told: { at, bundles: bundlesOf(rig.context) }, recoveredAt: at };
  };
  let process = await open();
  let turning: Promise<number> | undefined;
  const reopen = async (): Promise<void> => {
    await process.rig.context.close();
    process = await open();
  };
  const afterDeath = async (): Promise<void> => {
    // Whatever else it was about to do waits for ever; only the database lets go of it.
    await process.rig.context.store.close();
    turning = undefined;
    process = await open();
  };
  return {
    ...{ clock, outside, reopen },
    rig: () => process.rig,
    context: () => process.rig.context,
    serving: () => process.serving,
    faults: () => process.faults,
    // One after the other, as its timers do it.
    turn: () => {
      turning ??= turn(process, outside).finally(() => {
        turning = undefined;
      });
      return turning;
    },
    crashing: async (crash, work) => {
      const died = process.faults.arm(crash).then(() => true);
      const ended = work().then(() => false);
      // What the dead process still does is nobody's concern.
      ended.catch(() => undefined);
      const crashed = await Promise.race([died, ended]);
      process.faults.disarm();
      if (crashed) await afterDeath();
      return crashed;
    },
    close: () => process.rig.close(),
  };
}

/** More than what one transition can let follow at once. */
const mostRounds = 4;

async function turn(process: Process, outside: Outside): Promise<number> {
  const { rig, serving } = process;
  const { context } = rig;
  await recoverIfDue(process);
  await tellIfDue(process);
  await context.requests.reconsider({ due: true });
  const fence = (): Promise<boolean> => Promise.resolve(true);
  let all = 0;
  for (let round = 0; round < mostRounds; round += 1) {
    // Nobody here keeps a copy of the bundle.
    for (const rotation of await context.rotations.running()) context.copies.set(copyKey(rotation), []);
    const steps = await context.rotations.step(fence);
    all += steps;
    await performEffects(context, handlersOf(context, serving, outside), fence);
    if (steps === 0) break;
    await tellIfDue(process);
  }
  return all;
}

/** Says by which bundles it goes, where they are others or it is a while ago. */
async function tellIfDue(process: Process): Promise<void> {
  const { rig, told } = process;
  const at = rig.clock.now().getTime();
  const bundles = bundlesOf(rig.context);
  if (at - told.at < tellAfterMs && bundles === told.bundles) return;
  await rig.replica.report();
  process.told = { at, bundles };
}

async function recoverIfDue(process: Process): Promise<void> {
  const now = process.rig.clock.now().getTime();
  if (now - process.recoveredAt < recoverAfterMs) return;
  process.recoveredAt = now;
  await process.rig.context.ca.recover();
}

function bundlesOf({ ca }: Context): string {
  return ca
    .rings()
    .map(({ name, generation }) => `${name} ${String(generation)}`)
    .join();
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
    'published-objects': note(async (ring) => {
      published.set(ring, await digestOf(context, ring));
    }),
    ...{ renewals: nothing, probes: nothing, copies: nothing, notify: nothing },
  };
}

/** Of what a ring publishes now, a bundle or a set of keys. */
async function digestOf({ ca, keySets }: Context, ring: string): Promise<string> {
  if (ca.rings().some(({ name }) => name === ring)) return ca.bundle(ring).digest;
  return (await keySets.get(ring)).digest;
}
