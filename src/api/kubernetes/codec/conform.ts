import type { Shape, StructShape } from './schema.js';

/** Where unknown fields are noted, and how many object keys were seen. */
export type Conformance = { readonly unknown: string[]; keys: number };

/** A value of the wrong type, worded as Go's encoding/json words it. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError';
}

type Place = { readonly struct: string; readonly path: string };

/**
 * Checks parsed JSON against a shape and returns it without unknown fields, nulls and empty optional fields: what a typed
 * decoder followed by an encoder would give. Throws ShapeError for a value of a wrong type.
 */
export function conform(value: unknown, shape: StructShape, notes: Conformance): Record<string, unknown> {
  return (structOf(value, shape, { struct: '', path: '' }, notes) ?? {}) as Record<string, unknown>;
}

function structOf(value: unknown, shape: StructShape, place: Place, notes: Conformance): unknown {
  if (value === null || value === undefined) return undefined;
  if (typeof value !== 'object' || Array.isArray(value)) throw mismatch(value, shape.go, place);
  const result: Record<string, unknown> = {};
  const keys = Object.keys(value);
  notes.keys += keys.length;
  for (const key of keys) {
    const field = Object.hasOwn(shape.fields, key) ? shape.fields[key] : undefined;
    const path = place.path === '' ? key : `${place.path}.${key}`;
    const given: unknown = (value as Record<string, unknown>)[key];
    if (field === undefined) {
      notes.unknown.push(path);
      countKeys(given, notes);
      continue;
    }
    const conformed = valueOf(given, field, { struct: shape.name, path }, notes);
    if (conformed !== undefined) result[key] = conformed;
  }
  for (const key of shape.always) result[key] ??= '';
  return result;
}

function valueOf(value: unknown, shape: Shape, place: Place, notes: Conformance): unknown {
  if (value === null || value === undefined) return undefined;
  switch (shape.kind) {
    case 'string':
      if (typeof value !== 'string') throw mismatch(value, shape.go ?? 'string', place);
      return value === '' && shape.keepEmpty !== true ? undefined : value;
    case 'int32':
    case 'int64':
      return integer(value, shape.kind, place);
    case 'boolean':
      if (typeof value !== 'boolean') throw mismatch(value, 'bool', place);
      return value || shape.pointer === true ? value : undefined;
    case 'bytes':
      return bytes(value, place);
    case 'time':
      return time(value);
    case 'any':
      countKeys(value, notes);
      return value;
    case 'list':
      return list(value, shape, place, notes);
    case 'map':
      return map(value, shape, place, notes);
    case 'struct':
      return structOf(value, shape, place, notes);
  }
}

function list(value: unknown, shape: Extract<Shape, { kind: 'list' }>, place: Place, notes: Conformance): unknown {
  if (!Array.isArray(value)) throw mismatch(value, shape.go, place);
  if (value.length === 0 && shape.keepEmpty !== true) return undefined;
  return value.map((item: unknown, index) => {
    const at = { struct: place.struct, path: `${place.path}[${String(index)}]` };
    const path = shape.of.kind === 'struct' ? at : { struct: place.struct, path: place.path };
    return valueOf(item, shape.of, path, notes) ?? zeroOf(shape.of);
  });
}

function zeroOf(shape: Shape): unknown {
  if (shape.kind === 'struct') return Object.fromEntries(shape.always.map((key) => [key, '']));
  return shape.kind === 'string' ? '' : null;
}

function map(value: unknown, shape: Extract<Shape, { kind: 'map' }>, place: Place, notes: Conformance): unknown {
  if (typeof value !== 'object' || Array.isArray(value) || value === null) throw mismatch(value, shape.go, place);
  const entries = Object.entries(value as Record<string, unknown>);
  if (entries.length === 0) return undefined;
  notes.keys += entries.length;
  // fromEntries defines own properties, so that a key `__proto__` is only a key.
  return Object.fromEntries(
    entries.map(([key, item]) => [key, valueOf(item, shape.of, place, notes) ?? (shape.of.kind === 'list' ? [] : '')]),
  );
}

function integer(value: unknown, kind: 'int32' | 'int64', place: Place): number {
  if (typeof value !== 'number') throw mismatch(value, kind, place);
  const bound = kind === 'int32' ? 2 ** 31 : 2 ** 63;
  if (!Number.isInteger(value) || value >= bound || value < -bound)
    throw mismatch(value, kind, place, `number ${String(value)}`);
  return value;
}

function bytes(value: unknown, place: Place): string {
  if (typeof value !== 'string') throw mismatch(value, '[]uint8', place);
  const bad = badBase64(value);
  if (bad !== undefined) throw new ShapeError(`illegal base64 data at input byte ${String(bad)}`);
  return value;
}

/** Where Go's base64 decoder would stop, or undefined for good text. Line breaks are skipped, as it does. */
export function badBase64(text: string): number | undefined {
  if (text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  const clean = text.replace(/[\r\n]/g, '');
  if (clean.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(clean)) return undefined;
  const foreign = /[^A-Za-z0-9+/\r\n]/.exec(text);
  return foreign?.index ?? text.length - (clean.length % 4);
}

const rfc3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/;

function time(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const ms = rfc3339.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms))
    throw new ShapeError(
      `parsing time ${JSON.stringify(text)} as "2006-01-02T15:04:05Z07:00": cannot parse ${JSON.stringify(text)} as "2006"`,
    );
  return `${new Date(Math.floor(ms / 1000) * 1000).toISOString().slice(0, 19)}Z`;
}

/** Counts the object keys of a value that is not looked into. */
function countKeys(value: unknown, notes: Conformance): void {
  if (typeof value !== 'object' || value === null) return;
  const items: unknown[] = Array.isArray(value) ? value : Object.values(value);
  if (!Array.isArray(value)) notes.keys += items.length;
  for (const item of items) countKeys(item, notes);
}

function mismatch(value: unknown, type: string, place: Place, given = nameOf(value)): ShapeError {
  if (place.path === '') return new ShapeError(`json: cannot unmarshal ${given} into Go value of type ${type}`);
  return new ShapeError(
    `json: cannot unmarshal ${given} into Go struct field ${place.struct}.${place.path.replace(/\[\d+\]/g, '')} of type ${type}`,
  );
}

function nameOf(value: unknown): string {
  if (typeof value === 'boolean') return 'bool';
  return Array.isArray(value) ? 'array' : typeof value;
}
