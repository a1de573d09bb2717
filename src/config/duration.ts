import { z } from 'zod';

const unitMs = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, y: 365 * 86_400_000 } as const;
const pattern = /^(?:\d+[smhdy])+$/;

/**
 * Reads a duration such as `90m`, `1h30m`, `30d` or `10y` (a year is 365 days) as milliseconds; undefined when it is
 * not one.
 */
export function parseDuration(text: string): number | undefined {
  if (!pattern.test(text)) return undefined;
  let total = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)([smhdy])/g)) {
    total += Number(count) * unitMs[unit as keyof typeof unitMs];
  }
  return Number.isSafeInteger(total) ? total : undefined;
}

/** Writes milliseconds as the largest units that say it exactly, `36h` and not `1d12h`. */
export function formatDuration(ms: number): string {
  for (const unit of ['y', 'd', 'h', 'm', 's'] as const) {
    if (ms >= unitMs[unit] && ms % unitMs[unit] === 0) return `${String(ms / unitMs[unit])}${unit}`;
  }
  return `${String(Math.round(ms / 1000))}s`;
}

/** A zod field for a positive duration, as milliseconds. */
export const durationSchema = z.string().transform((text, context) => {
  const ms = parseDuration(text);
  if (ms !== undefined && ms > 0) return ms;
  context.addIssue({ code: 'custom', message: 'must be a positive duration such as 90m, 1h30m, 30d or 10y' });
  return z.NEVER;
});
