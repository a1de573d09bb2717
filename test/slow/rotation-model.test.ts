import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type Explorer, startExplorer } from '../rotation/model/apart.js';
import { line } from '../rotation/model/report.js';
import { slowVariants } from '../rotation/model/variants.js';

let explorer: Explorer;
beforeAll(() => {
  explorer = startExplorer();
});
afterAll(() => explorer.close());

describe('the protocol of a rotation, explored exhaustively with more at once', () => {
  test.each(slowVariants)('$title: safe, and no wedge', { timeout: 600_000 }, async (setup) => {
    const result = await explorer.explore(setup);
    console.log(line(setup.title, result));
    expect(result.violation).toBeUndefined();
    expect(result.states).toBeGreaterThan(100_000);
  });
});
