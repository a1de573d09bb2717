import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import type { Options, Result } from './explore.js';
import type { ServiceState } from './protocol.js';
import type { Setup } from './setup.js';

/** What a worker is asked to do. */
export type Work =
  | { readonly what: 'explore'; readonly setup: Setup; readonly options: Omit<Options, 'visit'> }
  | { readonly what: 'service-states' };

export type Explorer = {
  /** As explore. One thing at a time: whoever asks waits for the answer. */
  explore(setup: Setup, options?: Omit<Options, 'visit'>): Promise<Result>;
  /** As reachableServiceStates. */
  serviceStates(): Promise<readonly ServiceState[]>;
  close(): Promise<void>;
};

/** Explores in a process of its own, where modules are as Node has them: as vitest has them it takes four times as long. */
export function startExplorer(): Explorer {
  const worker = fork(fileURLToPath(new URL('./worker.ts', import.meta.url)), {
    execArgv: ['--import', 'tsx'],
    serialization: 'advanced',
  });
  const ended = once(worker, 'exit');
  const ask = async (work: Work): Promise<unknown> => {
    const answered = once(worker, 'message');
    worker.send(work);
    const [answer] = (await Promise.race([answered, ended.then(([code]) => failed(code))])) as [unknown];
    return answer;
  };
  return {
    explore: async (setup, options = {}) => (await ask({ what: 'explore', setup, options })) as Result,
    serviceStates: async () => (await ask({ what: 'service-states' })) as readonly ServiceState[],
    close: async () => {
      worker.kill();
      await ended;
    },
  };
}

function failed(code: unknown): never {
  throw new Error(`the explorer ended with ${String(code)}`);
}
