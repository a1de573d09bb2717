import type { Audit } from '../../audit/types.js';
import type { Clock, Random } from '../../clock.js';
import { RotundaError } from '../../errors.js';
import { deleteRule, insertRule, listRules, type RenewalRuleRow } from '../../store/queries/renewals.js';
import type { Store, WriteTx } from '../../store/types.js';
import { type RenewalReason, renewalReasons, type RenewalRule } from './types.js';

/** The change log's name for rules, so that every replica hears of one. */
const resource = 'renewalrules';

export type NewRule = Omit<RenewalRule, 'id' | 'createdAt'>;

/** The rules that count, oldest first. */
export type RuleBook = {
  /** The same list as long as nothing changes. */
  list(): readonly RenewalRule[];
  /** Inside a write of the caller's. */
  add(tx: WriteTx, rule: NewRule, actor: string): Promise<RenewalRule>;
  /** Throws 'not-found'. */
  remove(id: string, actor: string): Promise<void>;
  /** Deletes rules that have long been followed. */
  prune(): Promise<void>;
};

type Options = {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly audit: Audit;
  /** How long a rule is kept after its wave, milliseconds. */
  readonly keptMs: number;
};

/** Kept in memory, because anybody may ask for them, and written through. */
export async function createRuleBook({ store, clock, random, audit, keptMs }: Options): Promise<RuleBook> {
  const after = store.feed.current();
  let rules = new Map((await listRules(store.db)).map((row) => [row.id, ruleOf(row)]));
  let listed: readonly RenewalRule[] = Object.freeze([...rules.values()]);
  const replace = (id: string, rule: RenewalRule | undefined): void => {
    if (rule !== undefined && rules.has(id)) return;
    const others = [...rules].filter(([known]) => known !== id);
    rules = new Map(rule === undefined ? others : [...others, [id, rule]]);
    listed = Object.freeze([...rules.values()].sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1)));
  };
  await store.feed.subscribe({ resource, after }, ({ name, type, object }) => {
    // Written by this module only, so its shape is known.
    replace(name, type === 'DELETED' ? undefined : (JSON.parse(object) as RenewalRule));
  });
  const publish = async (tx: WriteTx, type: 'ADDED' | 'DELETED', rule: RenewalRule): Promise<void> => {
    const revision = tx.nextRevision();
    const object = JSON.stringify(rule);
    await tx.publish({ revision, resource, name: rule.id, type, object, previous: undefined });
    tx.onCommit(() => {
      replace(rule.id, type === 'DELETED' ? undefined : rule);
    });
  };
  const record = (tx: WriteTx, action: string, actor: string, { id, ...detail }: RenewalRule): Promise<void> =>
    audit.record(tx, { action, actor, resource, name: id, outcome: 'ok', detail, at: clock.now().getTime() });
  const remove = async (tx: WriteTx, rule: RenewalRule, actor: string): Promise<boolean> => {
    if (!(await deleteRule(tx.db, rule.id))) return false;
    await publish(tx, 'DELETED', rule);
    await record(tx, 'renewal-rule.deleted', actor, rule);
    return true;
  };
  return {
    list: () => listed,
    add: async (tx, draft, actor) => {
      const rule = Object.freeze({ ...draft, id: random.bytes(8).toString('hex'), createdAt: clock.now().getTime() });
      await insertRule(tx.db, rowOf(rule));
      await publish(tx, 'ADDED', rule);
      await record(tx, 'renewal-rule.created', actor, rule);
      return rule;
    },
    remove: async (id, actor) => {
      const rule = rules.get(id);
      if (rule === undefined || !(await store.write((tx) => remove(tx, rule, actor)))) {
        const object = { resource: 'renewal-rules', name: id };
        throw new RotundaError('not-found', `there is no renewal rule ${JSON.stringify(id)}`, { object });
      }
    },
    prune: async () => {
      const now = clock.now().getTime();
      const over = listed.filter(({ notBefore, width }) => notBefore + width + keptMs < now);
      for (const rule of over) await store.write((tx) => remove(tx, rule, 'system:rotunda'));
    },
  };
}

function ruleOf(row: RenewalRuleRow): RenewalRule {
  const { id, ring, authority, profile, not_before: notBefore, width, reason, created_at: createdAt } = row;
  return Object.freeze({
    ...{ id, ring, notBefore, width, reason: reasonOf(reason), createdAt },
    ...(authority === null ? {} : { authority }),
    ...(profile === null ? {} : { profile }),
  });
}

function reasonOf(text: string): RenewalReason {
  return renewalReasons.find((known) => known === text) ?? 'rotation';
}

function rowOf({ id, ring, authority, profile, notBefore, width, reason, createdAt }: RenewalRule): RenewalRuleRow {
  return {
    ...{ id, ring, authority: authority ?? null, profile: profile ?? null },
    ...{ not_before: notBefore, width, reason, created_at: createdAt },
  };
}
