import { expect } from 'vitest';

import { movedClock } from '../support.js';
import type { Place, Places } from '../schedules/databases.js';
import { openService, type Outside, type Service } from '../schedules/service.js';
import { endingOf } from './ending.js';
import { goOn, isOver, type Scenario } from './scenarios.js';

/** Where a scenario begins, what it comes to when nothing goes wrong, and which of its writes change anything. */
export type Reference = Start & { readonly ending: unknown; readonly commits: readonly number[] };
type Start = { readonly place: Place; readonly at: number; readonly outside: Outside };

const config = {
  rotation: {
    ...{ automatic: false, trustSoak: '1m', canarySoak: '1m', drainSoak: '1m', cooling: '5m', longestToken: '1m' },
    destroyKeys: 'automatic',
  },
};

export async function referenceOf(places: Places, scenario: Scenario): Promise<Reference> {
  const place = await places.fresh();
  const service = await openService({ place, config });
  await scenario.prepare(service);
  await service.close();
  const start = { place, at: service.clock.now().getTime(), outside: service.outside };
  const begun = await beginAgain(places, start);
  try {
    const before = begun.faults().writes();
    await goOn(begun, scenario.ring, isOver, scenario.order);
    const commits = begun
      .faults()
      .changes()
      .filter((write) => write > before);
    return { ...start, ending: await endingOf(begun, scenario.ring), commits: commits.map((write) => write - before) };
  } finally {
    await begun.close();
  }
}

/** Kills the service at one write of the scenario, goes on with another, and holds what it comes to against the reference. */
export async function crashAt(
  places: Places,
  scenario: Scenario,
  reference: Reference,
  crash: { readonly after: number; readonly durable: boolean },
): Promise<void> {
  const service = await beginAgain(places, reference);
  const where = `killed at write ${String(crash.after)} of ${String(reference.commits.at(-1))}${crash.durable ? ', once it was durable' : ''}`;
  try {
    const crashed = await service.crashing(crash, () => goOn(service, scenario.ring, isOver, scenario.order));
    expect(crashed, where).toBe(true);
    await goOn(service, scenario.ring, isOver, scenario.order).catch((error: unknown) => {
      throw new Error(where, { cause: error });
    });
    expect(await endingOf(service, scenario.ring), where).toEqual(reference.ending);
  } finally {
    await service.close();
  }
}

async function beginAgain(places: Places, { place, at, outside }: Start): Promise<Service> {
  return openService({ place: await places.copy(place), clock: movedClock(at), config, outside });
}
