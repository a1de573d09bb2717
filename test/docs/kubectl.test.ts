import { it } from 'vitest';

import { commandTables } from '../e2e/kubectl/page.js';
import { expectGenerated } from './generated.js';

it('docs/kubectl.md shows what is driven', async () => {
  await expectGenerated('kubectl.md', { commands: commandTables() });
});
