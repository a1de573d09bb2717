import { describe, expect, test } from 'vitest';

import { explore } from '../rotation/model/explore.js';
import { line } from '../rotation/model/report.js';
import { slowVariants } from '../rotation/model/variants.js';

describe('the protocol of a rotation, explored exhaustively with more at once', () => {
  test.each(slowVariants)('$title: safe, and no wedge', { timeout: 600_000 }, (setup) => {
    const result = explore(setup);
    console.log(line(setup.title, result));
    expect(result.violation).toBeUndefined();
    expect(result.states).toBeGreaterThan(100_000);
  });
});
