import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

import { RotundaError } from '../errors.js';
import { healthWorker } from './health-worker.js';

const beatMs = 250;
/** An event loop that did nothing for so long is stuck: no storm takes that. */
const stalledMs = 15_000;

export type HealthListener = {
  /** `http://host:port`. */
  readonly url: string;
  stop(): Promise<void>;
};

type Options = {
  readonly host: string;
  readonly port: number;
  /** Whether the service wants to be asked now. */
  readonly ready: () => Promise<boolean>;
};

/**
 * Answers /livez, /healthz and /readyz over plain HTTP from a thread of its own: a handshake with the service waits behind
 * those of everybody else, a probe here waits for nobody. Throws RotundaError 'unavailable' when the address is taken.
 */
export async function startHealthListener({ host, port, ready }: Options): Promise<HealthListener> {
  const board = new SharedArrayBuffer(16);
  const cells = new BigInt64Array(board);
  let last = await ready();
  const beat = (): void => {
    Atomics.store(cells, 0, process.hrtime.bigint());
    Atomics.store(cells, 1, last ? 1n : 0n);
    ready().then(
      (now) => (last = now),
      () => (last = false),
    );
  };
  beat();
  const worker = new Worker(healthWorker, { eval: true, workerData: { board, host, port, stalledMs } });
  const [message] = (await once(worker, 'message')) as [{ port?: number; error?: string }];
  if (message.port === undefined) {
    await worker.terminate();
    throw new RotundaError(
      'unavailable',
      `health.listen: cannot listen on ${host}:${String(port)}: ${message.error ?? ''}`,
    );
  }
  worker.unref();
  const timer = setInterval(beat, beatMs);
  timer.unref();
  const name = host.includes(':') ? `[${host}]` : host;
  return {
    url: `http://${name}:${String(message.port)}`,
    stop: async () => {
      clearInterval(timer);
      await worker.terminate();
    },
  };
}
