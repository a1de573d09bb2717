import { expect, it } from 'vitest';

import { readRecording } from '../api/kubernetes/oracle/cases.js';
import { deliberateDifferences } from '../api/kubernetes/oracle/deliberate-differences.js';
import { refusals } from '../api/kubernetes/signers/refusals.js';
import { expectGenerated, markdownTable } from './generated.js';

it('docs/compatibility.md lists every deliberate difference with its reason', async () => {
  const answers = Object.entries(deliberateDifferences).map(([id, { reason }]) => [`\`${id}\``, reason]);
  const refused = refusals.map(({ what, reason, failed }) => [what, `\`${failed.replaceAll('|', '\\|')}\``, reason]);
  await expectGenerated('compatibility.md', {
    answers: markdownTable(['recorded request', 'why Rotunda answers otherwise'], answers),
    refusals: markdownTable(['what is asked for', 'message', 'why not'], refused),
  });
});

it('docs/compatibility.md says how many requests were recorded', () => {
  expect(readRecording().cases).toHaveLength(326);
});
