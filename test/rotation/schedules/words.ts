import type { Crash } from './faults.js';

/** What can happen, the harmless first. */
export const verbs = [
  'everyone',
  'turn',
  'time',
  'deliver',
  'reload',
  'restart',
  'report',
  'ask',
  'install',
  'use',
  'advance',
  'resume',
  'watch',
  'streams',
  'handshake',
  'vouch',
  'send',
  'capture',
  'join',
  'snapshot',
  'restore',
  'away',
  'skew',
  'pause',
  'unquarantine',
  'quarantine',
  'rollback',
  'declare',
  'start',
  // What no honest machine does: by it is seen that the invariants are looked at.
  'lie',
] as const;
export type Verb = (typeof verbs)[number];

/** One thing that happens: to which machine, and which of the ways that there are. */
export type Word = { readonly verb: Verb; readonly peer: number; readonly way: number };

/** Two things at once, or one, and where the service dies meanwhile. */
export type Event = { readonly first: Word; readonly beside?: Word | undefined; readonly crash?: Crash | undefined };

export type Schedule = readonly Event[];

export function say({ verb, peer, way }: Word): string {
  return `${verb}(${String(peer)},${String(way)})`;
}

export function sayEvent({ first, beside, crash }: Event): string {
  const together = beside === undefined ? '' : ` & ${say(beside)}`;
  const death = crash === undefined ? '' : ` dies at write ${String(crash.after)}${crash.durable ? ', durable' : ''}`;
  return `${say(first)}${together}${death}`;
}

/** The text of a schedule, to be read and to be played again. */
export function saySchedule(schedule: Schedule): string {
  return schedule.map(sayEvent).join('; ');
}

/** A schedule from its text. */
export function readSchedule(text: string): Schedule {
  return text.split(';').map((part) => {
    const crash = / dies at write (\d+)(, durable)?/.exec(part);
    const words = [...part.matchAll(/([a-z]+)\((\d+),(\d+)\)/g)].map(([, verb, peer, way]) => ({
      verb: verb as Verb,
      peer: Number(peer),
      way: Number(way),
    }));
    const [first, beside] = words;
    if (first === undefined || words.some(({ verb }) => !verbs.includes(verb))) throw new Error(`no event: ${part}`);
    return {
      first,
      ...(beside !== undefined && { beside }),
      ...(crash !== null && { crash: { after: Number(crash[1]), durable: crash[2] !== undefined } }),
    };
  });
}
