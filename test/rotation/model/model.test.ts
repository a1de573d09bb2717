import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type Explorer, startExplorer } from './apart.js';
import type { Flaw, Flaws } from './flaws.js';
import { mutants } from './mutants.js';
import { moveNames, serviceMoves } from './protocol.js';
import { line } from './report.js';
import type { Setup } from './setup.js';
import { variants } from './variants.js';

const minutes = 60_000;

let explorer: Explorer;
beforeAll(() => {
  explorer = startExplorer();
});
afterAll(() => explorer.close());

function withFlaws(...flaws: readonly Flaw[]): Flaws {
  return Object.fromEntries(flaws.map((flaw) => [flaw, true]));
}

describe('the protocol of a rotation, explored exhaustively', () => {
  test.each(variants)('$title: safe, and no wedge', { timeout: 3 * minutes }, async (setup) => {
    const result = await explorer.explore(setup);
    console.log(line(setup.title, result));
    expect(result.violation).toBeUndefined();
    expect(result.states).toBeGreaterThan(1000);
  });
});

describe('what is left out of the protocol is missed', () => {
  test.each(mutants)('$title', { timeout: 3 * minutes }, async ({ title, flaws, setup, breaks }) => {
    const result = await explorer.explore(setup, { flaws: withFlaws(...flaws), watch: breaks });
    console.log(line(title, result));
    expect(result.violation?.invariant).toBeOneOf([...breaks]);
  });

  test(
    'two guards do the same: who joins before the switch is held, or trust is looked at again there',
    async () => {
      const setup: Setup = {
        ...{ title: 'held only from issuing on', kind: 'planned', crossSigned: false, joiners: 'silent' },
        peers: [
          { name: 'a', starts: 'member', leaves: 'simple' },
          { name: 'the joiner', starts: 'outside', leaves: 'simple' },
        ],
      };
      expect((await explorer.explore(setup, { flaws: withFlaws('held-only-from-issuing') })).violation).toBeUndefined();
      expect((await explorer.explore(setup, { flaws: withFlaws('no-trust-recheck') })).violation).toBeUndefined();
      expect(
        (await explorer.explore(setup, { flaws: withFlaws('held-only-from-issuing', 'no-trust-recheck') })).violation,
      ).toBeDefined();
    },
    minutes,
  );
});

describe('what the service knows', () => {
  test(
    'each transition is offered somewhere and withheld somewhere, but those that nothing is asked for',
    { timeout: 3 * minutes },
    async () => {
      const known = await explorer.serviceStates();
      console.log(`${String(known.length)} states of the service`);
      expect(known.length).toBeGreaterThan(3000);
      const offered = new Set<string>();
      const withheld = new Set<string>();
      for (const state of known) {
        const names = serviceMoves(state).map(({ name }) => name);
        for (const name of names) offered.add(name);
        if (!state.paused && !names.some((name) => name !== 'roll-back')) withheld.add(state.state);
        expect(state.bundles).toHaveLength(state.generation);
      }
      expect([...offered].sort()).toEqual([...moveNames].sort());
      const gated = [
        'trusting',
        'canary',
        'issuing',
        'distrusting',
        'returning',
        'retrusting',
        'spreading',
        'reissuing',
        'cut',
        'recovering',
      ];
      expect([...withheld].sort()).toEqual(['aborted', 'finished', 'rolled-back', ...gated].sort());
    },
  );
});
