import { type Beginning, beginWorld } from './beginning.js';
import type { Places } from './databases.js';
import { act, all } from './deeds.js';
import type { Flavour } from './flavours.js';
import { checkInvariants } from './invariants.js';
import { bringToEnd } from './repair.js';
import { type Event, type Schedule, sayEvent } from './words.js';
import { type Plan, rotationOf, type World } from './world.js';

export type Stage = { readonly places: Places; readonly beginning: Beginning; readonly flavour: Flavour };

/** Plays a schedule from the beginning, looks at every invariant after each event, and brings all to an end. */
export async function play(stage: Stage, plan: Plan, schedule: Schedule): Promise<string[]> {
  const { places, beginning, flavour } = stage;
  const world = await beginWorld(places, beginning, flavour, plan);
  const states: string[] = [];
  try {
    for (const event of [...Array.from({ length: plan.depth }, () => expected), ...schedule]) {
      world.story.push(sayEvent(event));
      await happen(world, event);
      await checkInvariants(world);
      const { state } = await rotationOf(world);
      world.story.push(`  is ${state}`);
      if (states.at(-1) !== state) states.push(state);
    }
    await bringToEnd(world);
    states.push((await rotationOf(world)).state);
    return states;
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${world.story.join('\n')}`, {
      cause: error,
    });
  } finally {
    await world.service.close();
  }
}

const expected: Event = { first: { verb: 'everyone', peer: 0, way: all } };

async function happen(world: World, { first, beside, crash }: Event): Promise<void> {
  const both = async (): Promise<void> => {
    await Promise.all([act(world, first), ...(beside === undefined ? [] : [act(world, beside)])]);
  };
  if (crash === undefined) await both();
  else if (await world.service.crashing(crash, both)) {
    world.story.push('  died');
    await findRotation(world);
  }
}

/** Whoever gave an order and got no answer looks what became of it. */
async function findRotation(world: World): Promise<void> {
  const [latest] = await world.service.context().rotations.list({ ring: world.flavour.ring, limit: 1 });
  if (latest !== undefined) world.rotation = latest.id;
}
