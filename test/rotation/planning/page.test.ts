import { expect, it } from 'vitest';

import { formatDuration } from '../../../src/config/duration.js';
import { reloadMatrix } from '../../../src/rotation/planning/reload-matrix.js';
import type { ReloadRow } from '../../../src/rotation/planning/reload/row.js';
import { expectGenerated, markdownTable } from '../../docs/generated.js';

const effects = { hot: 'at once', delayed: 'after a while', restart: 'restart', never: 'by hand alone' } as const;
const changes = { any: '', added: 'a CA that was added', removed: 'a CA that was removed' } as const;
const sources = {
  measured: '',
  source: ' (read in the source)',
  documentation: ' (documented)',
  inferred: ' (concluded)',
} as const;
const purposes = { trust: 'trust', leaf: 'its own certificate', signer: 'signing', revocation: 'revocation' } as const;

function cells(row: ReloadRow): string[] {
  const { file, versions, when, change, effect, worstDelayMs, what, known, byHand, see, purpose } = row;
  const where = [versions, when, changes[change]].filter((text) => text !== undefined && text !== '').join('; ');
  const delay = worstDelayMs === undefined ? '' : `, ${formatDuration(worstDelayMs)}`;
  const commands = byHand.commands.map((command) => `\`${command}\``).join(', then ');
  return [
    `${file.startsWith('--') ? `\`${file}\`` : file}${where === '' ? '' : `: ${where}`}`,
    purposes[purpose],
    `**${effects[effect]}**${delay}${sources[known]}: ${what}`,
    see,
    [byHand.text, commands].filter((text) => text !== '').join(' '),
  ].map((cell) => cell.replaceAll('|', '\\|'));
}

it('docs/rotation/planning.md has the reload matrix as it is', async () => {
  const classes = [...new Set(reloadMatrix.map((row) => row.class))];
  const tables = classes.map((name) => {
    const rows = reloadMatrix.filter((row) => row.class === name).map(cells);
    return `### ${name}\n\n${markdownTable(['file', 'of', 'taken over', 'seen by', 'by hand'], rows)}`;
  });
  await expectGenerated('rotation/planning.md', { matrix: tables.join('\n\n') });
  expect(classes).toContain('kube-scheduler');
});
