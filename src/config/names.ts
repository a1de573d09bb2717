import { z } from 'zod';

export const ringName = z.string().regex(/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/, 'must be a lower-case DNS label');

/** A list whose items are told apart by one field: a second one of the same name would silently win. */
export function uniqueBy<K extends string, T extends z.ZodType<Readonly<Record<K, string>>>>(
  key: K,
  item: T,
): z.ZodArray<T> {
  return z.array(item).check(({ value, issues }) => {
    const seen = new Set<string>();
    for (const [index, { [key]: name }] of value.entries()) {
      if (seen.has(name)) issues.push({ code: 'custom', input: name, path: [index, key], message: 'is there twice' });
      seen.add(name);
    }
  });
}
