import { listRotations, listRunningRotations } from '../store/queries/rotations.js';
import { declare } from './declare.js';
import { explain, type Explanation } from './explain.js';
import { readFacts } from './facts.js';
import { advanceAll, failureOf, type Failures, type Fence } from './machine.js';
import { advance, getRotation, type Order, pause, resume, rollback } from './operations.js';
import { toRotation } from './rows.js';
import { start, type StartParts, type StartRequest } from './start.js';
import type { Facts, Rotation } from './types.js';

/** The rotations of this service's rings. */
export type Rotations = {
  /** Throws 'conflict' while the ring is being rotated, 'not-found', 'invalid'. An emergency takes a running rotation over. */
  start(request: StartRequest, actor: string): Promise<Rotation>;
  /** Throws 'not-found'. */
  get(id: string): Promise<Rotation>;
  /** Newest first. */
  list(options: { readonly ring?: string | undefined; readonly limit: number }): Promise<Rotation[]>;
  running(): Promise<Rotation[]>;
  pause(id: string, order: Order): Promise<Rotation>;
  resume(id: string, order: Order): Promise<Rotation>;
  /** In an emergency it has to be confirmed with the name of the ring. Throws 'invalid'. */
  advance(id: string, order: Order & { readonly confirm?: string | undefined }): Promise<Rotation>;
  rollback(id: string, order: Order): Promise<Rotation>;
  explain(id: string): Promise<Explanation>;
  facts(rotation: Rotation): Promise<Facts>;
  /** Whether its last step failed. Known to the process that leads alone. */
  failing(id: string): boolean;
  /** Shows of every running rotation why no step of it is taken now, as where one has failed. */
  holdUp(problem: string): Promise<void>;
  /** Takes every running rotation as far as it goes now; answers how many steps that were. For one process at a time. */
  step(fence: Fence): Promise<number>;
};

export function createRotations(parts: StartParts): Rotations {
  const failures: Failures = new Map();
  return Object.freeze({
    start: (request: StartRequest, actor: string) =>
      request.kind === 'emergency' ? declare(parts, request, actor) : start(parts, request, actor),
    get: (id: string) => getRotation(parts, id),
    list: async (options: { readonly ring?: string | undefined; readonly limit: number }) =>
      (await listRotations(parts.store.db, options)).map(toRotation),
    running: async () => (await listRunningRotations(parts.store.db)).map(toRotation),
    pause: (id: string, order: Order) => pause(parts, id, order),
    resume: (id: string, order: Order) => resume(parts, id, order),
    advance: (id: string, order: Order & { readonly confirm?: string | undefined }) => advance(parts, id, order),
    rollback: (id: string, order: Order) => rollback(parts, id, order),
    explain: (id: string) => explain(parts, id, failures),
    facts: (rotation: Rotation) => readFacts(parts.facts, parts.store.db, rotation, parts.clock.now().getTime()),
    failing: (id: string) => failureOf(failures, id, parts.clock.now().getTime()) !== undefined,
    holdUp: async (problem: string) => {
      const at = parts.clock.now().getTime();
      for (const { id } of await listRunningRotations(parts.store.db)) failures.set(id, { problem, at });
    },
    step: (fence: Fence) => advanceAll(parts, fence, failures),
  });
}
