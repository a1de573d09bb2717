import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { type HeaderNames, standardHeaderNames } from '../../src/identity/front-proxy-source.js';
import { claimedUser } from '../../src/identity/request-headers.js';
import { refusalOf } from './rooms.js';

const names: HeaderNames = {
  username: ['X-User', 'X-Remote-User'],
  uid: [],
  group: ['X-Remote-Group', 'X-Group'],
  extraPrefix: ['X-Remote-Extra-', 'X-Other-'],
};

function refusal(raw: readonly string[]): Promise<string> {
  return refusalOf(
    new Promise((resolve) => {
      resolve(claimedUser(raw, standardHeaderNames));
    }),
  );
}

/** As a Go client writes it and Node reads it. */
const onWire = (text: string): string => Buffer.from(text).toString('latin1');

describe('headers that name a user', () => {
  test('of several names the first with a value counts for the user, and all for groups and extra', () => {
    const raw = [
      'X-Remote-User',
      'second',
      'X-Group',
      'a',
      'x-remote-group',
      'b',
      'X-Other-k',
      '1',
      'X-Remote-Extra-K',
      '2',
    ];
    expect(claimedUser(raw, names)).toEqual({
      username: 'second',
      uid: '',
      groups: ['b', 'a'],
      extra: { k: ['2', '1'] },
    });
    expect(claimedUser(['X-User', 'first', ...raw], names)?.username).toBe('first');
    expect(claimedUser(['X-User', '', ...raw], names)?.username).toBe('second');
    expect(claimedUser(['X-Remote-Group', 'system:masters'], names)).toBeUndefined();
  });

  test('twice is refused, and so is what is no UTF-8', async () => {
    expect(await refusal(['X-Remote-User', 'a', 'x-remote-user', 'a'])).toBe(
      'the header X-Remote-User is there 2 times',
    );
    expect(await refusal(['X-Remote-User', 'a', 'X-Remote-Uid', '', 'X-Remote-Uid', '1'])).toContain('X-Remote-Uid');
    expect(await refusal(['X-Remote-User', '\xff'])).toBe('the header X-Remote-User is not UTF-8');
    expect(await refusal(['X-Remote-User', 'a', 'X-Remote-Extra-k', '\xc3'])).toContain('is not UTF-8');
  });

  test('what an API server writes is what is read, whatever it is', () => {
    // Neither end of a header's value can be white space on the wire.
    const text = fc
      .string({ unit: 'grapheme', minLength: 1 })
      .filter((value) => value.trim() === value && !/\p{Cc}/u.test(value));
    const key = fc.string({ unit: 'grapheme', minLength: 1 }).map((value) => value.toLowerCase());
    const extra = fc.uniqueArray(fc.tuple(key, fc.array(text, { minLength: 1 })), { selector: ([name]) => name });
    fc.assert(
      fc.property(text, fc.array(text), extra, (user, groups, pairs) => {
        const raw = [
          ...['X-Remote-User', onWire(user)],
          ...groups.flatMap((group) => ['X-Remote-Group', onWire(group)]),
          ...pairs.flatMap(([name, values]) =>
            values.flatMap((value) => [`X-Remote-Extra-${encodeURIComponent(name)}`, onWire(value)]),
          ),
        ];
        const told = claimedUser(raw, standardHeaderNames);
        expect(told?.username).toBe(user);
        expect(told?.groups).toEqual(groups);
        expect(Object.entries(told?.extra ?? {}).sort()).toEqual([...pairs].sort());
      }),
    );
  });

  test('whatever else stands in the headers: a user, nobody, or a refusal', () => {
    const name = fc.oneof(
      fc.constantFrom(
        'X-Remote-User',
        'x-remote-group',
        'X-Remote-Uid',
        'X-Remote-Extra-',
        'X-Remote-Extra-%',
        'X_Remote_User',
      ),
      fc.string(),
    );
    const value = fc.string({ unit: 'binary' }).map((text) => Buffer.from(text).toString('latin1'));
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value)), (lines) => {
        const raw = lines.flat();
        const users = lines.filter(([header]) => header.toLowerCase() === 'x-remote-user');
        let told: ReturnType<typeof claimedUser>;
        try {
          told = claimedUser(raw, standardHeaderNames);
        } catch (error) {
          expect(error).toMatchObject({ code: 'unauthorized' });
          return;
        }
        expect(told !== undefined).toBe(users.length === 1 && users[0]?.[1] !== '');
      }),
    );
  });
});
