import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';

import { type Duties, startMaintenance } from '../../src/service/maintenance.js';

const logger = pino({ level: 'silent' });
let maintenance: Duties;

afterEach(() => maintenance.stop());

const failing = (message: string) => (): Promise<void> => Promise.reject(new Error(message));

describe('duties', () => {
  it('are all done, and the first that failed is told to who has to know', async () => {
    const done: string[] = [];
    const last = (): Promise<void> => Promise.resolve(void done.push('last'));
    maintenance = startMaintenance([failing('no certificate'), failing('no object'), last], logger);
    await expect(maintenance.complete()).rejects.toThrow('no certificate');
    expect(done).toEqual(['last']);
    await expect(maintenance.run()).resolves.toBeUndefined();
  });

  it('are complete where none failed', async () => {
    maintenance = startMaintenance([() => Promise.resolve()], logger);
    await expect(maintenance.complete()).resolves.toBeUndefined();
  });

  it('are not complete with a run that began before', async () => {
    let went: (() => void) | undefined;
    let asked = 0;
    const duty = (): Promise<void> => {
      asked += 1;
      return asked > 1
        ? Promise.reject(new Error('changed meanwhile'))
        : new Promise((resolve) => {
            went = resolve;
          });
    };
    maintenance = startMaintenance([duty], logger);
    const earlier = maintenance.run();
    const complete = maintenance.complete();
    went?.();
    await earlier;
    await expect(complete).rejects.toThrow('changed meanwhile');
  });
});
