import type { Kysely } from 'kysely';

import type { Audit } from '../audit/types.js';
import type { Clock, Random } from '../clock.js';
import { type FieldCause, invalid, RotundaError } from '../errors.js';
import type { Identity } from '../identity/types.js';
import { findNodes, insertNodes, type NodeRow } from '../store/queries/nodes.js';
import type { Schema } from '../store/schema.js';
import type { Store, WriteTx } from '../store/types.js';
import { makeUid } from './names.js';
import { sharedProblems } from './node-owners.js';
import {
  checkNodeFields,
  columnsOf,
  newNodeRow,
  type NodeFields,
  nodeOf,
  publishNode,
  union,
  updateRow,
} from './node-records.js';
import type { FactsChanged, ImportedNode, NodeDraft, NodeFact, NodeImport, Nodes } from './types.js';

type Options = {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly audit: Audit;
  readonly factsChanged: FactsChanged;
};

/** A draft that breaks no rule, under its place in the import. */
type Checked = { readonly index: number; readonly name: string; readonly fields: NodeFields };

/** What shall become of one draft. */
type Step = Checked & {
  readonly row: NodeRow | undefined;
  readonly outcome: ImportedNode['outcome'];
  /** The facts that the node will have, as far as they change or it is new. */
  readonly next: NodeFields;
  readonly changes: readonly NodeFact[];
  readonly problems: readonly FieldCause[];
};

const mostNodes = 1000;
/** Reported at once: enough to see what is wrong, and an answer of bounded size. */
const mostCauses = 100;
const facts: readonly NodeFact[] = ['addresses', 'dnsNames', 'labels'];
const nothing: NodeFields = { addresses: undefined, dnsNames: undefined, labels: undefined, annotations: undefined };

/** Enrolling many machines at once: one transaction, one audit event for each, and waiting requests looked at once. */
export function createNodeImport(options: Options): Nodes['import'] {
  return async (order, actor) => {
    const drafts = readDrafts(order.nodes);
    if (order.dryRun) return (await planOf(options.store.db, order, drafts)).map(shown);
    return options.store.write(async (tx) => {
      const steps = await planOf(tx.db, order, drafts);
      refuseConflicts(steps);
      await carryOut(options, tx, steps, actor);
      return steps.map(shown);
    });
  };
}

function shown({ name, outcome, row, changes, problems }: Step): ImportedNode {
  return { name, outcome, state: row?.state ?? 'expected', changes, problems };
}

/** Throws 'invalid' with the broken rules of every draft, each under `nodes[<index>]`. */
function readDrafts(drafts: readonly NodeDraft[]): readonly Checked[] {
  if (drafts.length > mostNodes)
    throw invalid([
      { field: 'nodes', reason: 'FieldValueTooLong', message: `must have at most ${mostNodes} entries at once` },
    ]);
  const causes: FieldCause[] = [];
  const first = new Map<string, number>();
  const checked = drafts.map((draft, index) => {
    const { fields, causes: broken } = checkNodeFields(draft);
    causes.push(...broken.map((cause) => under(index, cause)));
    const before = first.get(draft.name);
    if (before === undefined) first.set(draft.name, index);
    else causes.push(under(index, repeated(draft.name, before)));
    return { index, name: draft.name, fields };
  });
  if (causes.length > 0) throw invalid(bounded(causes), { resource: 'nodes', kind: 'Node' });
  return checked;
}

function under(index: number, cause: FieldCause): FieldCause {
  return { ...cause, field: `nodes[${index}].${cause.field ?? ''}` };
}

function repeated(name: string, before: number): FieldCause {
  return {
    field: 'name',
    reason: 'FieldValueDuplicate',
    message: `Duplicate value: ${JSON.stringify(name)}: nodes[${before}] has this name too`,
  };
}

function bounded(causes: readonly FieldCause[]): readonly FieldCause[] {
  if (causes.length <= mostCauses) return causes;
  const rest: FieldCause = { reason: 'FieldValueInvalid', message: `and ${causes.length - mostCauses} more` };
  return [...causes.slice(0, mostCauses), rest];
}

async function planOf(db: Kysely<Schema>, order: NodeImport, drafts: readonly Checked[]): Promise<readonly Step[]> {
  const names = drafts.map(({ name }) => name);
  const rows = new Map((await findNodes(db, names)).map((row) => [row.name, row]));
  const steps = drafts.map((draft) => stepFor(draft, rows.get(draft.name), order.existing));
  if (order.allowShared) return steps;
  const problems = await sharedProblems(db, steps);
  return steps.map((step) => {
    const shared = problems.get(step.name);
    if (shared === undefined) return step;
    return { ...step, outcome: 'conflict', problems: [...step.problems, ...shared] };
  });
}

function stepFor(draft: Checked, row: NodeRow | undefined, existing: NodeImport['existing']): Step {
  const { fields } = draft;
  if (row === undefined) {
    const changes = facts.filter((fact) => fields[fact] !== undefined);
    return { ...draft, row, outcome: 'created', next: fields, changes, problems: [] };
  }
  const next = wantedOf(fields, row, existing);
  const changes = facts.filter((fact) => next[fact] !== undefined);
  if (changes.length === 0) return { ...draft, row, outcome: 'unchanged', next: nothing, changes, problems: [] };
  if (existing !== 'refuse') return { ...draft, row, outcome: 'updated', next, changes, problems: [] };
  const problems = changes.map((fact) => different(fact));
  return { ...draft, row, outcome: 'conflict', next: nothing, changes, problems };
}

function different(field: NodeFact): FieldCause {
  return {
    field,
    reason: 'FieldValueInvalid',
    message: 'the node is enrolled with others',
    hint: 'choose whether the import adds to what is enrolled (merge) or replaces it (replace)',
  };
}

/** Only what differs from the row. */
function wantedOf(fields: NodeFields, row: NodeRow, existing: NodeImport['existing']): NodeFields {
  const node = nodeOf(row);
  const list = (fact: 'addresses' | 'dnsNames'): readonly string[] | undefined => {
    const given = fields[fact];
    if (given === undefined) return undefined;
    const wanted = existing === 'merge' ? union(node[fact], given) : given;
    return sameText(wanted, node[fact]) ? undefined : wanted;
  };
  const labels = existing === 'merge' && fields.labels ? { ...node.labels, ...fields.labels } : fields.labels;
  return {
    addresses: list('addresses'),
    dnsNames: list('dnsNames'),
    labels: labels === undefined || sameText(sorted(labels), sorted(node.labels)) ? undefined : labels,
    annotations: undefined,
  };
}

function sorted(labels: Readonly<Record<string, string>>): readonly unknown[] {
  return Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
}

function sameText(a: readonly unknown[], b: readonly unknown[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function refuseConflicts(steps: readonly Step[]): void {
  const conflicts = steps.filter(({ outcome }) => outcome === 'conflict');
  if (conflicts.length === 0) return;
  const causes = conflicts.flatMap(({ index, problems }) => problems.map((problem) => under(index, problem)));
  throw new RotundaError(
    'conflict',
    `${conflicts.length} of ${steps.length} nodes are in conflict; none was enrolled`,
    {
      causes: bounded(causes),
    },
  );
}

async function carryOut(options: Options, tx: WriteTx, steps: readonly Step[], actor: Identity): Promise<void> {
  const now = options.clock.now().getTime();
  const created = steps.filter(({ outcome }) => outcome === 'created');
  const updated = steps.filter(({ outcome }) => outcome === 'updated');
  const record = { now, by: actor.username };
  const rows = created.map(({ name, next }) =>
    newNodeRow({ ...next, name }, { ...record, uid: makeUid(options.random), revision: tx.nextRevision() }),
  );
  await insertNodes(tx.db, rows);
  await Promise.all(rows.map((row) => publishNode(tx, { type: 'ADDED', row })));
  for (const { row, next } of updated) if (row !== undefined) await updateRow(tx, row, columnsOf(next));
  const changed = [...created, ...updated];
  if (changed.length === 0) return;
  await Promise.all(changed.map((step) => tell(options, tx, step, { actor, now })));
  tx.onCommit(() => {
    options.factsChanged({ nodes: changed.map(({ name }) => name) });
  });
}

function tell(
  { audit }: Options,
  tx: WriteTx,
  { name, outcome, next: { addresses, dnsNames } }: Step,
  { actor, now }: { actor: Identity; now: number },
): Promise<void> {
  return audit.record(tx, {
    action: outcome === 'created' ? 'node.enrolled' : 'node.updated',
    actor: actor.username,
    resource: 'nodes',
    name,
    outcome: 'ok',
    detail: { addresses, dnsNames, imported: true },
    at: now,
  });
}
