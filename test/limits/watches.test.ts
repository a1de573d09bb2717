import { expect, it } from 'vitest';

import { createWatches, type WatchHandle } from '../../src/api/kubernetes/watch/watches.js';
import type { Identity, Role } from '../../src/identity/types.js';
import { callerKey } from '../../src/limits/callers.js';

function who(username: string, change: Partial<Identity>, ...roles: Role[]): Identity {
  return { kind: 'certificate', ring: 'kubernetes', username, uid: '', groups: [], extra: {}, roles, ...change };
}

const node = who('system:node:a', {}, 'node');
const unbound = who(
  'system:bootstrap:abcdef',
  { kind: 'token', token: { id: 'abcdef', kind: 'unbound', reusable: false, state: 'active', claims: {} } },
  'bootstrapper',
);

it('are bounded for each caller, and not for who administers', () => {
  let open = 0;
  const watches = createWatches({ now: () => 0, changed: (by) => void (open += by), limited: () => undefined });
  const begin = (identity: Identity): WatchHandle => {
    watches.admit(identity);
    const handle = {
      caller: callerKey(identity),
      deadline: 1,
      nextBookmark: 1,
      bookmark: () => undefined,
      allowed: () => true,
      end: () => Promise.resolve(),
    };
    watches.add(handle);
    return handle;
  };
  const [first] = Array.from({ length: 1000 }, () => begin(node));
  expect(() => begin(node)).toThrow(expect.objectContaining({ code: 'too-many-requests' }));
  begin(who('system:node:b', {}, 'node'));
  for (let count = 0; count < 1001; count += 1) begin(unbound);
  for (let count = 0; count < 1001; count += 1) begin(who('olga', { ring: 'rotunda' }, 'operator'));
  if (first !== undefined) {
    watches.remove(first);
    watches.remove(first);
  }
  begin(node);
  expect(() => begin(node)).toThrow('1000 watches open');
  expect(open).toBe(1000 + 1 + 1001 + 1001);
  expect(watches.count()).toBe(open);
});

it('count under keys of bounded length', () => {
  const keys = ['a', 'b'].map((last) => callerKey(who('x'.repeat(100_000) + last, { kind: 'user' })));
  expect(new Set(keys).size).toBe(2);
  for (const key of keys) expect(key.length).toBeLessThan(300);
});
