import type { Result } from './explore.js';

/** What a run found, on one line: how much was explored, and a shortest way to what is broken. */
export function line(title: string, { states, steps, depth, violation, milliseconds }: Result): string {
  const numbers = `${String(states)} states, ${String(steps)} steps, depth ${String(depth)}, ${(milliseconds / 1000).toFixed(1)} s`;
  if (violation === undefined) return `${title}: safe, ${numbers}`;
  const { invariant, text, trace } = violation;
  return `${title}: ${invariant} broken in ${String(trace.length)} steps (${numbers}): ${trace.join('; ')}. Then ${text}.`;
}
