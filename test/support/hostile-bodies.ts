import fc from 'fast-check';

const hostileValues = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    0,
    -1,
    2 ** 31,
    1e308,
    '',
    'x',
    '__proto__',
    '\u0000',
    '\ud800',
    [],
    {},
    [[]],
    [null],
    'A'.repeat(5000),
  ),
  fc.jsonValue({ maxDepth: 2 }),
);

/** One change somewhere in a tree: a value, a key or an item, replaced, removed, renamed or doubled. */
export type Mutation = {
  readonly path: number;
  readonly how: 'replace' | 'remove' | 'rename' | 'double' | 'nest';
  readonly value: unknown;
  readonly key: string;
};

export const mutations = fc.array(
  fc.record({
    path: fc.nat(10_000),
    how: fc.constantFrom<Mutation['how']>('replace', 'remove', 'rename', 'double', 'nest'),
    value: hostileValues,
    key: fc.constantFrom(
      '__proto__',
      'constructor',
      'metadata',
      'spec',
      'status',
      'kind',
      '',
      'x'.repeat(300),
      'a.b/c',
    ),
  }),
  { minLength: 1, maxLength: 4 },
);

/** The tree after the changes; it stays data that JSON can say. */
export function mutated(tree: unknown, changes: readonly Mutation[]): unknown {
  const copy = structuredClone(tree);
  for (const change of changes) {
    const places = containersOf(copy);
    const place = places[change.path % Math.max(1, places.length)];
    if (place !== undefined) alter(place, change);
  }
  return copy;
}

type Container = Record<string, unknown> | unknown[];

function containersOf(value: unknown): Container[] {
  if (typeof value !== 'object' || value === null) return [];
  return [value as Container, ...Object.values(value).flatMap(containersOf)];
}

function alter(place: Container, { path, how, value, key }: Mutation): void {
  const keys = Object.keys(place);
  const at = keys[path % Math.max(1, keys.length)] ?? key;
  const set = (name: string, to: unknown): void => {
    Object.defineProperty(place, name, { value: to, enumerable: true, configurable: true, writable: true });
  };
  const current = Object.hasOwn(place, at) ? (place as Record<string, unknown>)[at] : null;
  if (how === 'replace') set(at, structuredClone(value));
  else if (how === 'remove') Reflect.deleteProperty(place, at);
  else if (how === 'rename') set(Array.isArray(place) ? '0' : key, current);
  else if (how === 'double') set(at, [structuredClone(current), structuredClone(current)]);
  else set(at, { [key === '' ? 'x' : key]: structuredClone(current) });
}

/** One change in the bytes of a protobuf body: lengths and field numbers are where it hurts. */
export const byteMutations = fc.array(
  fc.record({
    at: fc.nat(100_000),
    how: fc.constantFrom<'set' | 'insert' | 'cut' | 'copy'>('set', 'insert', 'cut', 'copy'),
    byte: fc.oneof(fc.nat(255), fc.constantFrom(0, 0x7f, 0x80, 0xff, 0x0a, 0x12)),
    length: fc.nat(40),
  }),
  { minLength: 1, maxLength: 5 },
);

type ByteMutation = { readonly at: number; readonly how: string; readonly byte: number; readonly length: number };

export function mutatedBytes(whole: Buffer, changes: readonly ByteMutation[]): Buffer {
  let bytes = Buffer.from(whole);
  for (const { at, how, byte, length } of changes) {
    const place = at % Math.max(1, bytes.length);
    const [head, tail] = [bytes.subarray(0, place), bytes.subarray(place)];
    const piece = Buffer.alloc(length, byte);
    if (how === 'set') bytes = Buffer.concat([head, Buffer.from([byte]), tail.subarray(1)]);
    else if (how === 'insert') bytes = Buffer.concat([head, piece, tail]);
    else if (how === 'cut') bytes = Buffer.concat([head, tail.subarray(length)]);
    else bytes = Buffer.concat([head, tail.subarray(0, length), tail]);
  }
  return bytes;
}
