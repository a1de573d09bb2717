import { z } from 'zod';

import { errorCatalogue } from '../../errors.js';

/** Text without control characters, `min` to `max` UTF-16 units. What reaches a database or a log is bounded here. */
export function text(max: number, min = 1): z.ZodString {
  return z
    .string()
    .min(min)
    .max(max)
    .regex(/^\P{Cc}*$/u, 'must not contain control characters');
}

/** The name of an object in a path or a filter. Its exact rule belongs to the room that owns the object. */
export const nameText = text(253);

/** RFC 3339, UTC, whole seconds. */
export const timeText = z.string().meta({ format: 'date-time' });

/** Milliseconds since 1970 as RFC 3339, UTC, whole seconds. */
export function timeOf(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}

/** As timeOf, undefined for undefined. */
export function optionalTime(milliseconds: number | undefined): string | undefined {
  return milliseconds === undefined ? undefined : timeOf(milliseconds);
}

/** A copy without the members that are undefined, as optional members are typed. */
export function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> };
}

export const pageQuery = {
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(500)
    .default(100)
    .meta({ description: 'Largest number of items in the answer' }),
  continue: text(512).optional().meta({ description: 'The `continue` of the page before' }),
};

/** One page of `item`; `continue` is there when more follows. */
export function pageOf<T extends z.ZodType>(item: T) {
  return z.object({
    items: z.array(item),
    continue: z.string().optional().meta({ description: 'Ask with it for the next page' }),
  });
}

const causeReasons = [
  'FieldValueRequired',
  'FieldValueInvalid',
  'FieldValueNotSupported',
  'FieldValueDuplicate',
  'FieldValueForbidden',
  'FieldValueTooLong',
  'FieldManagerConflict',
  'ResourceVersionTooLarge',
] as const;

export const fieldErrorSchema = z
  .object({
    field: z
      .string()
      .optional()
      .meta({ description: 'Path of the field, `addresses[0]`; absent when the whole body is meant' }),
    rule: z.enum(causeReasons),
    message: z.string(),
    hint: z.string().optional(),
  })
  .meta({ id: 'FieldError', description: 'One field that broke one rule' });

export const problemSchema = z
  .object({
    type: z.string().meta({ description: '`urn:rotunda:problem:<code>`' }),
    title: z.string(),
    status: z.number().int(),
    code: z
      .enum(Object.keys(errorCatalogue) as [keyof typeof errorCatalogue, ...(keyof typeof errorCatalogue)[]])
      .meta({ description: 'Stable; match on this' }),
    detail: z.string(),
    hint: z.string().optional().meta({ description: 'What the caller can do about it' }),
    instance: z.string().optional().meta({ description: 'The object that the problem is about' }),
    errors: z.array(fieldErrorSchema).optional(),
  })
  .meta({ id: 'Problem', description: 'Problem details (RFC 9457)' });

const problemContent = { 'application/problem+json': { schema: problemSchema } };

/** The answers that every operation can give beside its own. */
export const problems = {
  '4xx': { description: 'The caller can do something about it; `code` and `errors` say what', content: problemContent },
  '5xx': { description: 'The service cannot answer now', content: problemContent },
} as const;

/** A response with a body of JSON. */
export function json<T extends z.ZodType>(description: string, schema: T) {
  return { description, content: { 'application/json': { schema } } };
}

/** A response that is JSON, or PEM when asked for by Accept. */
export function jsonOrPem<T extends z.ZodType>(description: string, schema: T) {
  return {
    description,
    content: { 'application/json': { schema }, 'application/pem-certificate-chain': { schema: z.string() } },
  };
}
