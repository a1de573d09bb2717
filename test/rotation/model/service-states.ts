import { explore } from './explore.js';
import type { ConsumerRecord, ServiceState } from './protocol.js';
import type { Setup } from './setup.js';
import { serviceVariants } from './variants.js';

/**
 * Every state of the service that can be reached, once: what it has recorded, without what it cannot see. Consumers that
 * are alike in another order are the same, consumers that it does not know are left out, and of leaves it matters only
 * whether there are any.
 */
export function reachableServiceStates(setups: readonly Setup[] = serviceVariants): readonly ServiceState[] {
  const found = new Map<string, ServiceState>();
  for (const setup of setups) {
    const visit = (known: ServiceState): void => {
      const key = keyOf(known);
      if (!found.has(key)) found.set(key, copyOf(known));
    };
    // Invariants are the other suites' matter.
    explore(setup, { watch: [], visit });
  }
  return [...found.values()];
}

function keyOf(known: ServiceState): string {
  const { kind, state, hour, preference, bundles, consumers } = known;
  const flags = [
    known.back,
    known.paused,
    known.crossSigned,
    known.frozen,
    known.crossInChains,
    known.joinsHeld,
    known.undeclaredClass,
  ];
  const text = flags.map((flag) => (flag ? '1' : '0')).join('');
  const use = [known.old.live, known.old.inFlight, known.new.live, known.new.inFlight]
    .map((count) => (count > 0 ? 1 : 0))
    .join('');
  const numbers = `${String(known.epoch)}/${String(known.generation)}/${String(known.joinFloor)}`;
  const whose = kind === 'emergency' ? preference : '';
  return `${kind} ${state} ${hour} ${whose} ${numbers} ${bundles.join()} ${known.signer} ${text} ${use} ${consumers.filter(isKnown).map(consumerKey).sort().join()}`;
}

function isKnown({ registered }: ConsumerRecord): boolean {
  return registered;
}

function consumerKey({ quarantined, joiner, loaded, clean }: ConsumerRecord): string {
  return `${String(loaded)}${quarantined ? 'q' : ''}${joiner ? 'j' : ''}${clean ? 'c' : ''}`;
}

function copyOf(known: ServiceState): ServiceState {
  const one = (count: number): number => (count > 0 ? 1 : 0);
  return {
    ...known,
    bundles: [...known.bundles],
    consumers: known.consumers.filter(isKnown).map((consumer) => ({ ...consumer })),
    old: { live: one(known.old.live), inFlight: one(known.old.inFlight) },
    new: { live: one(known.new.live), inFlight: one(known.new.inFlight) },
  };
}
