import { supersedeBy } from '../../store/queries/certificates-superseded.js';
import {
  deleteProbes,
  listProbedEndpoints,
  listProbesOf,
  type ProbedEndpoint,
  type ProbeRow,
  replaceProbes,
} from '../../store/queries/probes.js';
import type { Store } from '../../store/types.js';
import type { Rotation } from '../types.js';
import { goalsOf } from './goals.js';
import { acceptanceOf, type Answers, muteReason, refusalOf, type Verdict } from './judgement.js';
import type { Look } from './look.js';

type Consumer = { readonly name: string; readonly endpoints: readonly string[]; readonly process: string | undefined };
type Found = Omit<ProbeRow, keyof ProbedEndpoint>;

export type Seen = {
  readonly rotation: Rotation;
  readonly consumer: Consumer;
  readonly looks: readonly Look[];
  /** Milliseconds. */
  readonly at: number;
  /** Why it is no evidence, although certificates were taken. */
  readonly withheld: string | undefined;
};

/** Stores what was seen of a consumer, and what follows for the inventory: what is presented is in use, what it replaces is not. */
export async function record(store: Store, seen: Seen): Promise<void> {
  const { rotation, consumer, looks, at } = seen;
  const { ring } = rotation;
  await store.write(async (tx) => {
    const asked = (await listProbesOf(tx.db, { ring, consumer: consumer.name })).filter(
      ({ kind }) => kind === 'accepts',
    );
    for (const look of looks) {
      const endpoint = { ring, consumer: consumer.name, endpoint: look.endpoint };
      const spoke = asked.some((row) => row.endpoint === look.endpoint);
      await replaceProbes(tx.db, endpoint, rowsOf(look, seen, spoke));
      if (look.presented !== undefined) await supersedeBy(tx.db, { ...look.presented.leaf, at });
    }
  });
}

/** Forgets the looks at endpoints that nobody has registered any more. */
export async function forget(store: Store, ring: string, consumers: readonly Consumer[]): Promise<void> {
  const registered = new Map(consumers.map(({ name, endpoints }) => [name, endpoints]));
  const gone = (await listProbedEndpoints(store.db, ring)).filter(
    ({ consumer, endpoint }) => registered.get(consumer)?.includes(endpoint) !== true,
  );
  if (gone.length === 0) return;
  await store.write(async (tx) => {
    for (const row of gone) await deleteProbes(tx.db, row);
  });
}

function rowsOf(look: Look, { rotation, consumer, at, withheld }: Seen, spoke: boolean): Found[] {
  const { oldKey, newKey } = rotation;
  const row = (kind: Found['kind'], key: string, outcome: Found['outcome'], detail: object): Found => ({
    ...{ kind, key, outcome, at, process: consumer.process ?? null },
    detail: JSON.stringify({ ...detail, ...(withheld === undefined ? {} : { withheld }) }),
  });
  const presents = [...new Set([oldKey, newKey])].map((key) =>
    row('presents', key, presentsKey(look, key), shown(look)),
  );
  const told = look.answers === undefined ? [] : verdictsOf(rotation, look.answers, spoke);
  return [
    ...presents,
    ...told.map(({ kind, key, verdict: { outcome, detail } }) => row(kind, key, outcome, { detail })),
  ];
}

function presentsKey({ presented }: Look, key: string): Found['outcome'] {
  if (presented === undefined) return 'unreachable';
  return presented.authority === key ? 'yes' : 'no';
}

function shown({ presented, several, detail }: Look): object {
  if (presented === undefined) return { detail };
  const { leaf, authority, claimed, crossed, length } = presented;
  return { ...leaf, authority, claimed, crossed, length, ...(several ? { several } : {}) };
}

type Told = { readonly kind: 'accepts' | 'refuses'; readonly key: string; readonly verdict: Verdict };

/**
 * None for an endpoint that has nothing to say about authorities, unless it had before: then something is wrong with it.
 * None either where there was no canary to try, because the authority's key is not there.
 */
function verdictsOf(rotation: Rotation, answers: Answers, spoke: boolean): Told[] {
  if (answers.control.outcome === 'yes' || (muteReason(answers) !== undefined && !spoke)) return [];
  const goals = goalsOf(rotation);
  const reached = answers.control.outcome !== 'unreachable';
  const keysOf = (kind: 'accepts' | 'refuses'): string[] =>
    [...new Set(goals.flatMap((goal) => goal[kind]))].filter((key) => !reached || answers.canaries.has(key));
  return [
    ...keysOf('accepts').map((key) => ({ kind: 'accepts' as const, key, verdict: acceptanceOf(answers, key) })),
    ...keysOf('refuses').map((key) => ({ kind: 'refuses' as const, key, verdict: refusalOf(answers, key) })),
  ];
}
