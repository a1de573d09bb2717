import { type FieldCause, invalid } from '../../errors.js';
import type { Identity } from '../../identity/types.js';
import type { WriteTx } from '../../store/types.js';
import { cause } from '../names.js';
import { checkClaim, publishedDigest } from './bundle-claims.js';
import { checkAlgorithms, checkLine } from './names.js';
import { isGathered } from './classes.js';
import { resource } from './records.js';
import { leaseCauses } from './drafts.js';
import { applyReport, isReplaced, reportedConsumer, type RingStatement } from './reporting.js';
import { evidenceOf } from './reports.js';
import { beganAt } from './restarts.js';
import { type ConsumersRoom, type Found, mustFind, nowOf, service, viewOf } from './room.js';
import type { Acknowledgement, Heartbeat, Proof, Reported, ReportOutcome, RingReport } from './report-types.js';
import type { ProcessMark } from './types.js';

/**
 * A clock that is further away than this cannot be told from a lie, and a process that claims to begin in the future would
 * never be followed by another. Milliseconds.
 */
const furthestClockMs = 86_400_000;

/** What a consumer says of itself, or somebody says for it. */
export async function heartbeat(
  room: ConsumersRoom,
  tx: WriteTx,
  { name, report, actor }: { readonly name: string; readonly report: Heartbeat; readonly actor: Identity },
): Promise<Reported> {
  const found = await reportedConsumer(room, tx, name, actor);
  checkWords(report, name);
  checkTimes(report, nowOf(room), name);
  if (await isReplaced(tx, found.rings, actor)) return reported(room, tx, name, 'other-process');
  const { software, algorithms, leaseMs, reportedAt, process } = report;
  const statements = [];
  for (const [index, ring] of report.rings.entries())
    statements.push(await statementOf(tx, ring, { index, process, reportedAt, now: nowOf(room) }));
  const said = {
    reportedAt,
    ...(software !== undefined && { software }),
    ...(algorithms !== undefined && { algorithms: JSON.stringify(checkAlgorithms(algorithms).values) }),
    ...(leaseMs !== undefined && { lease_ms: leaseMs }),
  };
  const outcome = await applyReport(room, tx, found, { name, actor: actor.username, process, statements, said });
  return reported(room, tx, name, outcome);
}

async function reported(room: ConsumersRoom, tx: WriteTx, name: string, outcome: ReportOutcome): Promise<Reported> {
  return { outcome, consumer: await viewOf(room, tx.db, name) };
}

function checkWords({ software, algorithms, leaseMs, process, rings }: Heartbeat, name: string): void {
  const causes: FieldCause[] = [
    ...checkLine('process.id', process.id, 1, 128),
    ...(software === undefined ? [] : checkLine('software', software, 0, 128)),
    ...(algorithms === undefined ? [] : checkAlgorithms(algorithms).causes),
    ...leaseCauses(leaseMs),
  ];
  const seen = new Set<string>();
  for (const [index, { ring }] of rings.entries()) {
    if (seen.has(ring)) causes.push(cause(`rings[${String(index)}].ring`, ring, 'is there twice'));
    seen.add(ring);
  }
  if (causes.length > 0) throw invalid(causes, { resource, kind: 'Consumer', name });
}

function checkTimes(
  { process, reportedAt }: { readonly process: ProcessMark; readonly reportedAt: number },
  now: number,
  name: string,
): void {
  const causes: FieldCause[] = [];
  const away = Math.round((reportedAt - now) / 1000);
  if (Math.abs(reportedAt - now) > furthestClockMs)
    causes.push(timeCause('reportedAt', `is ${String(away)} seconds from this service's time: set its clock right`));
  if (process.startedAt > reportedAt) causes.push(timeCause('process.startedAt', 'is after the report'));
  if (causes.length > 0) throw invalid(causes, { resource, kind: 'Consumer', name });
}

function timeCause(field: string, problem: string): FieldCause {
  return { field, reason: 'FieldValueInvalid', message: `Invalid value: ${problem}` };
}

async function statementOf(
  tx: WriteTx,
  said: RingReport,
  of: { readonly index: number; readonly process: ProcessMark; readonly reportedAt: number; readonly now: number },
): Promise<RingStatement> {
  const { ring, delivered, loaded, clean = true, streamsSince } = said;
  const field = `rings[${String(of.index)}]`;
  for (const [part, claim] of Object.entries({ delivered, loaded }))
    if (claim !== undefined) await checkClaim(tx.db, { ...claim, ring, field: `${field}.${part}.generation` });
  // By this service's clock: as long ago as the report says, and not later than the report.
  const since = streamsSince === undefined ? undefined : of.now - Math.max(0, of.reportedAt - streamsSince);
  return {
    ring,
    field: `${field}.ring`,
    reportedAt: of.reportedAt,
    ...(delivered !== undefined && { delivered: { generation: delivered.generation, at: delivered.at } }),
    ...(loaded !== undefined && {
      loaded: {
        generation: loaded.generation,
        evidence: evidenceOf(loaded.generation, delivered, of.process.startedAt),
        clean,
      },
    }),
    ...(since !== undefined && { streamsSince: since }),
  };
}

/** One statement that a bundle is loaded, by the consumer itself or by an operator for it. */
export async function acknowledge(
  room: ConsumersRoom,
  tx: WriteTx,
  said: Acknowledgement,
  actor: Identity,
): Promise<Reported> {
  const { consumer: name, process, reportedAt } = said;
  const found = await reportedConsumer(room, tx, name, actor);
  if (found.own && (process === undefined || reportedAt === undefined))
    throw invalid(missingProcess(said), { resource, kind: 'Consumer', name });
  if (process !== undefined) {
    const causes = checkLine('process.id', process.id, 1, 128);
    if (causes.length > 0) throw invalid(causes, { resource, kind: 'Consumer', name });
    checkTimes({ process, reportedAt: reportedAt ?? nowOf(room) }, nowOf(room), name);
  }
  await checkClaim(tx.db, { ...said, field: 'generation' });
  const since = said.evidence === 'restart' ? beganAt(found, said, nowOf(room)) : undefined;
  if (await isReplaced(tx, found.rings, actor)) return reported(room, tx, name, 'other-process');
  const loaded = {
    generation: said.generation,
    evidence: said.evidence,
    clean: said.clean ?? true,
    ...(since !== undefined && { since }),
  };
  const at = said.deliveredAt;
  const statement: RingStatement = {
    ring: said.ring,
    field: 'ring',
    loaded,
    ...(reportedAt !== undefined && { reportedAt }),
    ...(at !== undefined && { delivered: { generation: said.generation, at } }),
  };
  const outcome = await applyReport(room, tx, found, {
    ...{ name, actor: actor.username, process, statements: [statement] },
    ...(reportedAt !== undefined && process !== undefined && { said: { reportedAt } }),
  });
  return reported(room, tx, name, outcome);
}

function missingProcess({ process, reportedAt }: Acknowledgement): FieldCause[] {
  const message = 'Required value: a consumer says which of its processes it speaks for, and when';
  return [
    ...(process === undefined ? [{ field: 'process', reason: 'FieldValueRequired' as const, message }] : []),
    ...(reportedAt === undefined ? [{ field: 'reportedAt', reason: 'FieldValueRequired' as const, message }] : []),
  ];
}

/** Evidence that this service gathered: a probe, a handshake, its own processes. */
export async function prove(room: ConsumersRoom, tx: WriteTx, proof: Proof): Promise<ReportOutcome> {
  const { consumer: name, ring, generation, evidence, clean } = proof;
  const found = await mustFind(tx.db, name);
  if (generation > 0) await publishedDigest(tx.db, { ring, generation, field: 'generation' });
  // Only this service's own processes say so, each of itself.
  const runsNow = evidence === 'in-process';
  const at = proof.at ?? nowOf(room);
  // Gathered before the machine was rebuilt under its name: it is about the one before.
  if (!runsNow && at < found.row.created_at) return 'late';
  const process = speaking(proof, found);
  if (process === 'other') return 'other-process';
  const loaded = generation === 0 ? { generation, evidence, clean: false } : { generation, evidence, clean };
  const reached = isGathered(evidence);
  const statements = [{ ring, loaded, field: 'ring' }];
  return applyReport(room, tx, found, { name, actor: service, process, statements, reached, runsNow });
}

/** The process that a proof makes the present one, undefined where it is about that one already. */
function speaking({ process }: Proof, { row }: Found): ProcessMark | 'other' | undefined {
  if (process?.startedAt !== undefined) return { id: process.id, startedAt: process.startedAt };
  return (process?.id ?? null) === row.process ? undefined : 'other';
}
