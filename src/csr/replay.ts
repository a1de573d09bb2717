import { setImmediate as breathe } from 'node:timers/promises';

import { readCsr } from '../ca/x509/csr.js';
import type { ReadCsr } from '../ca/x509/types.js';
import { RotundaError } from '../errors.js';
import type { Parts } from './parts.js';
import { type Question, questionsSince } from './replay-questions.js';
import { type AskedPolicy, type FactsMode, personDecided, type Verdict, verdictOf } from './replay-verdict.js';
import type { Profile, RequestFacts, RuleResult } from './types.js';

export type ReplayOptions = {
  readonly policy: { readonly profiles: readonly Profile[]; readonly nodeApproval: RequestFacts['nodePolicy'] };
  /** Milliseconds: requests created then or later. */
  readonly since: number;
  readonly facts: FactsMode;
};

export type RuleChange = {
  readonly rule: string;
  readonly before: RuleResult | undefined;
  readonly after: RuleResult | undefined;
};

/** A question that the other policy answers differently. */
export type ReplayChange = {
  readonly question: Question;
  readonly count: number;
  readonly before: Verdict;
  readonly after: Verdict;
  readonly rules: readonly RuleChange[];
};

/** Counts are of requests, `questions` of what they asked when equal ones count once. */
export type Replay = {
  readonly requests: number;
  readonly questions: number;
  readonly changed: number;
  /** Decided with facts of today because the rules did not look at them then. */
  readonly ofToday: number;
  /** Whether there is more than was looked at. */
  readonly truncated: boolean;
  readonly before: Readonly<Partial<Record<Verdict['outcome'], number>>>;
  readonly after: Readonly<Partial<Record<Verdict['outcome'], number>>>;
  readonly changes: readonly ReplayChange[];
  /** Changes beyond those listed. */
  readonly omitted: number;
};

const mostQuestions = 50_000;
const mostChanges = 1000;
/** After so many questions others get their turn. */
const breathEvery = 20;

type Tally = Partial<Record<Verdict['outcome'], number>>;
type Answer = { readonly before: Verdict; readonly after: Verdict; readonly change: { count: number } | undefined };
type Run = {
  readonly parts: Parts;
  readonly options: ReplayOptions;
  readonly now: AskedPolicy;
  readonly other: AskedPolicy;
  readonly answers: Map<string, Answer>;
  readonly changes: (Omit<ReplayChange, 'count'> & { count: number })[];
  readonly before: Tally;
  readonly after: Tally;
  requests: number;
  changed: number;
  ofToday: number;
  omitted: number;
};

/**
 * Asks the rules of the current and of another policy about requests of the past, with the same facts for both. Writes
 * nothing and signs nothing. One at a time, in small steps: throws RotundaError 'too-many-requests' while one runs.
 */
export function createReplay(parts: Parts): (options: ReplayOptions) => Promise<Replay> {
  let running = false;
  return async (options) => {
    if (running) throw new RotundaError('too-many-requests', 'another replay is running', { retryAfterSeconds: 5 });
    running = true;
    try {
      return await replay(parts, options);
    } finally {
      running = false;
    }
  };
}

async function replay(parts: Parts, options: ReplayOptions): Promise<Replay> {
  const { profiles, nodeApproval } = options.policy;
  const run: Run = {
    ...{ parts, options, answers: new Map(), changes: [], before: {}, after: {} },
    now: { profiles: parts.profiles, nodeApproval: parts.facts.nodePolicy },
    other: { profiles: new Map(profiles.map((profile) => [profile.signerName, profile])), nodeApproval },
    ...{ requests: 0, changed: 0, ofToday: 0, omitted: 0 },
  };
  let truncated = false;
  let seen = 0;
  for await (const question of questionsSince(parts.store, options.since)) {
    truncated = run.answers.size >= mostQuestions && !run.answers.has(question.digest);
    if (truncated) break;
    const answer = run.answers.get(question.digest) ?? (await ask(run, question));
    if (answer !== undefined) count(run, question, answer);
    seen += 1;
    if (seen % breathEvery === 0) await breathe();
  }
  const { requests, changed, ofToday, omitted, before, after, changes } = run;
  return { requests, questions: run.answers.size, changed, ofToday, truncated, before, after, changes, omitted };
}

function count(run: Run, question: Question, { before, after, change }: Answer): void {
  const { count: times } = question;
  run.requests += times;
  run.before[before.outcome] = (run.before[before.outcome] ?? 0) + times;
  run.after[after.outcome] = (run.after[after.outcome] ?? 0) + times;
  if (change === undefined) return;
  run.changed += times;
  change.count += times;
}

/** Both policies' answers; undefined for what cannot be read any more. */
async function ask(run: Run, question: Question): Promise<Answer | undefined> {
  const csr = readable(question.csr);
  if (csr === undefined) return undefined;
  const asking = { sources: run.parts.facts, question, csr, mode: run.options.facts };
  const now = await verdictOf({ ...asking, policy: run.now });
  const other = await verdictOf({ ...asking, policy: run.other });
  if (now.ofToday || other.ofToday) run.ofToday += question.count;
  const { verdict: before } = now;
  const { verdict: after } = other;
  const change = isChanged(question, before, after) ? noteChange(run, question, before, after) : undefined;
  const answer = { before, after, change };
  run.answers.set(question.digest, answer);
  return answer;
}

function readable(der: Buffer): ReadCsr | undefined {
  try {
    return readCsr(der);
  } catch {
    return undefined;
  }
}

/** A person's denial stays one whatever the policy. */
function isChanged(question: Question, before: Verdict, after: Verdict): boolean {
  if (personDecided(question) === 'denied') return false;
  return (
    before.outcome !== after.outcome || before.ring !== after.ring || before.lifetimeSeconds !== after.lifetimeSeconds
  );
}

function noteChange(run: Run, question: Question, before: Verdict, after: Verdict): { count: number } {
  const change = { question, before, after, count: 0, rules: changedRules(before.rules, after.rules) };
  if (run.changes.length < mostChanges) run.changes.push(change);
  else run.omitted += 1;
  return change;
}

function changedRules(before: readonly RuleResult[], after: readonly RuleResult[]): RuleChange[] {
  const names = [...new Set([...before, ...after].map(({ rule }) => rule))];
  return names
    .map((rule) => ({
      rule,
      before: before.find((result) => result.rule === rule),
      after: after.find((result) => result.rule === rule),
    }))
    .filter((change) => change.before?.outcome !== change.after?.outcome);
}
