import type { Context } from '../context.js';
import type { ScrapeGauges } from '../metrics.js';
import { startByOf } from '../rotation/outlook/start-by.js';
import { offers } from '../rotation/reducer.js';
import type { Facts, Gate, Rotation, VerifierFact } from '../rotation/types.js';

/** Fills what is measured of rotations, bundles, and when the next rotation has to begin, at each scrape. */
export function collectRotations(context: Context): void {
  const { metrics, rotations, ca, keySets, consumers } = context;
  metrics.onScrape(async (gauges) => {
    const looks = [];
    for (const rotation of await rotations.running()) looks.push({ rotation, facts: await rotations.facts(rotation) });
    const counted = new Set(looks.map(({ rotation }) => rotation.ring));
    const others = [...ca.rings(), ...(await keySets.list()).map(nameOf)].filter(({ name }) => !counted.has(name));
    const quiet = [];
    for (const ring of others) quiet.push({ ring, verifiers: (await consumers.verifiers(ring.name)).verifiers });
    const starts = [];
    for (const { name } of ca.rings()) starts.push({ ring: name, at: (await startByOf(context, name)).startBy });
    // Two may scrape at once: from here on nothing is waited for.
    reset(gauges);
    for (const { rotation, facts } of looks) {
      fillLook(gauges, rotation, facts);
      gauges.rotationFailing.set({ ring: rotation.ring }, rotations.failing(rotation.id) ? 1 : 0);
    }
    for (const { ring, verifiers } of quiet) fillAcknowledged(gauges, ring, verifiers);
    for (const { ring, at } of starts) gauges.rotationStartBy.set({ ring }, at / 1000);
  });
}

function reset(gauges: ScrapeGauges): void {
  for (const gauge of [gauges.rotationState, gauges.rotationStateSeconds, gauges.rotationGateRatio]) gauge.reset();
  for (const gauge of [gauges.rotationBlockers, gauges.bundleAcknowledgedRatio]) gauge.reset();
  for (const gauge of [gauges.rotationFailing, gauges.rotationStartBy]) gauge.reset();
}

function fillLook(gauges: ScrapeGauges, rotation: Rotation, facts: Facts): void {
  fillRotation(gauges, rotation, facts.now);
  const gate = offers(rotation, facts).find(({ by }) => by === 'machine')?.gate;
  if (gate !== undefined) fillGate(gauges, rotation.ring, gate);
  fillAcknowledged(gauges, facts.ring, facts.verifiers);
}

function nameOf({ ring, generation }: { readonly ring: string; readonly generation: number }): Bundled {
  return { name: ring, generation };
}

type Bundled = { readonly name: string; readonly generation: number };

function fillRotation(gauges: ScrapeGauges, { ring, kind, state, stateSince }: Rotation, now: number): void {
  gauges.rotationState.set({ ring, kind, state }, 1);
  gauges.rotationStateSeconds.set({ ring }, Math.max(0, now - stateSince) / 1000);
}

function fillGate(gauges: ScrapeGauges, ring: string, gate: Gate): void {
  const { name, passes, satisfied, required, blockers, blocked } = gate;
  gauges.rotationGateRatio.set({ ring, gate: name }, passes || required === 0 ? 1 : satisfied / required);
  for (const { kind } of blockers) gauges.rotationBlockers.inc({ ring, kind }, 1);
  // A gate names the first of many; those behind are nearly always of the kind of the last that it names.
  const rest = blocked - blockers.length;
  const last = blockers.at(-1);
  if (rest > 0 && last !== undefined) gauges.rotationBlockers.inc({ ring, kind: last.kind }, rest);
}

/** Nothing where nobody is registered: of nobody, nothing is acknowledged and nothing is missing. */
function fillAcknowledged(
  gauges: ScrapeGauges,
  { name, generation }: Bundled,
  verifiers: readonly VerifierFact[],
): void {
  if (verifiers.length === 0) return;
  const current = verifiers.filter(({ loaded }) => loaded >= generation).length;
  gauges.bundleAcknowledgedRatio.set({ ring: name }, current / verifiers.length);
}
