import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import path from 'node:path';

export type Row = { readonly what: string; readonly value: number; readonly unit: string; readonly aim?: string };
export type Section = { readonly title: string; readonly rows: readonly Row[] };

/** Microseconds of this process's CPU for one call, after a warm-up. */
export function cpuPerCall(count: number, call: () => unknown): number {
  for (let i = 0; i < Math.ceil(count / 10); i += 1) call();
  const before = process.cpuUsage();
  for (let i = 0; i < count; i += 1) call();
  const used = process.cpuUsage(before);
  return (used.user + used.system) / count;
}

/** Prints the sections as one table and keeps them as JSON below bench/results. */
export function report(sections: readonly Section[], directory: string): void {
  const out = process.stdout;
  out.write(`\n${cpus()[0]?.model ?? 'unknown processor'}, ${String(cpus().length)} cores, Node ${process.version}\n`);
  for (const { title, rows } of sections) {
    out.write(`\n${title}\n`);
    for (const { what, value, unit, aim } of rows) {
      const figure = `${format(value)} ${unit}`;
      out.write(`  ${what.padEnd(62)} ${figure.padStart(22)}${aim === undefined ? '' : `   aim: ${aim}`}\n`);
    }
  }
  mkdirSync(directory, { recursive: true });
  const file = path.join(directory, 'latest.json');
  writeFileSync(file, `${JSON.stringify({ node: process.version, cpu: cpus()[0]?.model, sections }, undefined, 2)}\n`);
  out.write(`\nwritten to ${file}\n`);
}

function format(value: number): string {
  if (value >= 1000) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(3);
}

/** Runs `work` for 0 … count-1 with at most `width` at once. */
export async function inParallel(count: number, width: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) await work(index);
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, lane));
}

/** The value below which `share` of the samples lie. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
