import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { pino } from 'pino';

import { configFrom } from '../../src/config/load.js';
import { type Context, createContext } from '../../src/context.js';
import type { StartRequest } from '../../src/rotation/start.js';
import type { Rotation } from '../../src/rotation/types.js';
import { createReplica, type Replica } from '../../src/service/replica.js';
import type { Identity } from '../../src/identity/types.js';

export const minuteMs = 60_000;
export const dayMs = 86_400_000;

export const admin: Identity = {
  ...{ kind: 'internal', username: 'admin', uid: '', groups: [], extra: {}, roles: ['admin'] },
};

/** The rooms of a service without a listener, on a clock that is moved. */
export type Rig = {
  readonly context: Context;
  readonly replica: Replica;
  readonly clock: { now(): Date; forward(ms: number): void };
  /** Takes all machines as far as they go. */
  step(): Promise<number>;
  start(request: Partial<StartRequest> & { readonly ring: string }): Promise<Rotation>;
  /** Says of every class that verifies the ring, but the service's own, that there is none. */
  attestAbsent(ring: string): Promise<void>;
  get(id: string): Promise<Rotation>;
  close(): Promise<void>;
};

export type RigOptions = {
  readonly storeUrl?: string;
  readonly dataDir?: string;
  readonly clock?: Rig['clock'];
  readonly config?: Readonly<Record<string, unknown>>;
};

export function movedClock(start = Date.UTC(2026, 10, 28, 12)): Rig['clock'] {
  let time = start;
  return {
    now: () => new Date(time),
    forward: (ms) => {
      time += ms;
    },
  };
}

export const quick = { trustSoak: '1m', canarySoak: '1m', drainSoak: '1m', cooling: '1m', destroyKeys: 'automatic' };

export async function startRig(options: RigOptions = {}): Promise<Rig> {
  const dataDir = options.dataDir ?? mkdtempSync(path.join(tmpdir(), 'rotunda-rotation-'));
  const clock = options.clock ?? movedClock();
  const key = path.join(dataDir, 'test.key');
  writeFileSync(key, Buffer.alloc(32, 7).toString('base64'), { mode: 0o600 });
  const config = configFrom({
    ...{ apiVersion: 'rotunda.dev/v1alpha1', dataDir, log: { level: 'silent' }, keyEncryptionKey: { file: key } },
    rotation: { automatic: false, ...quick },
    ...(options.storeUrl === undefined ? {} : { store: { url: options.storeUrl } }),
    ...options.config,
  });
  const random = { bytes: (count: number) => randomBytes(count) };
  const context = await createContext(config, { clock, random, logger: pino({ level: 'silent' }) });
  const replica = createReplica(context);
  await replica.report();
  const { rotations, consumers } = context;
  return {
    ...{ context, replica, clock },
    step: async () => {
      await replica.report();
      const steps = await rotations.step(() => Promise.resolve(true));
      await replica.report();
      return steps;
    },
    start: (request) =>
      rotations.start(
        { kind: 'planned', policy: 'automatic', crossSign: true, options: {}, reason: 'a test', ...request },
        'admin',
      ),
    attestAbsent: async (ring) => {
      const { classes } = await consumers.verifiers(ring);
      for (const found of classes) {
        if (found.class === 'rotunda') continue;
        const draft = { ring, class: found.class, statement: 'absent', ttlMs: 300 * dayMs, reason: 'a test' } as const;
        await consumers.attest(draft, admin);
      }
    },
    get: (id) => rotations.get(id),
    close: async () => {
      await context.close();
      if (options.dataDir === undefined) rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
