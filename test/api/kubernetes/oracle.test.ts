import { randomBytes } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import { startTestService, type TestService } from '../../support/service.js';
import { describeEachDatabase } from '../../support/stores.js';
import { readRecording } from './oracle/cases.js';
import { type Difference, differences } from './oracle/compare.js';
import { type DeliberateField, deliberateDifferences } from './oracle/deliberate-differences.js';
import { notYet } from './oracle/not-yet.js';
import { replay } from './oracle/replay.js';
import { recordingUsers } from './oracle/users.js';

const recording = readRecording();
/** The recording is of a control plane that approves any node name and gives a year. */
const likeUpstream = { nodeApproval: 'upstream-any-node-name', lifetimes: 'upstream' };
const replayTimeoutMs = 180_000;

describeEachDatabase('the recorded answers of a real control plane', (newDatabase) => {
  let outcomes = new Map<string, unknown[]>();

  it(
    'can all be asked for',
    async () => {
      const service = await startTestService({ storeUrl: await newDatabase(), config: likeUpstream });
      try {
        outcomes = await replayAll(service);
      } finally {
        await service.stop();
      }
      expect(outcomes.size).toBe(recording.cases.length);
    },
    replayTimeoutMs,
  );

  it.each(recording.cases.map((one) => [one.id, one] as const))('%s', (id, one) => {
    const found = differences(one.outcome, outcomes.get(id) ?? []);
    if (notYet.has(id)) {
      expect(found, `${id} passes now: take it off the list of what is not there yet`).not.toEqual([]);
      return;
    }
    const deliberate = deliberateDifferences[id];
    if (deliberate === undefined) expect(found).toEqual([]);
    else expectExactly(found, deliberate.fields);
  });
});

describe('the lists of exceptions', () => {
  it('name recorded cases only, and none twice', () => {
    const known = new Set(recording.cases.map((one) => one.id));
    const listed = [...Object.keys(deliberateDifferences), ...notYet];
    expect(listed.filter((id) => !known.has(id))).toEqual([]);
    expect(new Set(listed).size).toBe(listed.length);
  });
});

async function replayAll(service: TestService): Promise<Map<string, unknown[]>> {
  const users = await recordingUsers(service);
  const run = `r${randomBytes(3).toString('hex')}`;
  return replay({ url: service.url, ca: service.ca, users }, recording, recording.cases, { run, parallel: 6 });
}

/** Every listed field differs as listed, and nothing else does. */
function expectExactly(found: readonly Difference[], fields: readonly DeliberateField[]): void {
  const place = ({ step, path }: { step: number; path: string }): string => `step ${String(step)}: ${path}`;
  expect(found.map(place).sort()).toEqual(fields.map(place).sort());
  for (const { step, path, answer } of fields) {
    const actual = found.find((difference) => difference.step === step && difference.path === path)?.actual;
    expectAnswer(actual, answer);
  }
}

function expectAnswer(actual: unknown, answer: unknown): void {
  if (answer instanceof RegExp) expect(actual).toMatch(answer);
  else if (typeof answer === 'object' && answer !== null && !Array.isArray(answer)) {
    expect(Object.keys(actual as object).sort()).toEqual(Object.keys(answer).sort());
    for (const [key, value] of Object.entries(answer)) expectAnswer((actual as Record<string, unknown>)[key], value);
  } else expect(actual).toEqual(answer);
}
