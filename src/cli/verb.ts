import type { Command } from 'commander';

import { type Client, createClient } from './client.js';
import type { ConnectionOptions } from './connection.js';
import type { Io } from './io.js';
import type { Format } from './output.js';

export type CommonOptions = ConnectionOptions & { readonly output?: string };

/** What an action gets: its flags (environment applied), its arguments, and how to reach the server. */
export type Call<T> = {
  readonly options: T & CommonOptions;
  readonly args: readonly string[];
  readonly io: Io;
  readonly format: Format;
  /** `work` with a client that is closed afterwards. */
  readonly withClient: <R>(work: (client: Client) => Promise<R>, need?: 'credential' | 'none') => Promise<R>;
};

/** An action for commander, without its mutable arguments. */
export function action<T extends object = object>(
  io: Io,
  run: (call: Call<T>) => Promise<void>,
): (...given: unknown[]) => Promise<void> {
  return async (...given) => {
    const command = given.at(-1) as Command;
    const options: T & CommonOptions = command.optsWithGlobals();
    const args = command.args;
    const format = (options.output ?? 'table') as Format;
    await run({ options, args, io, format, withClient: (work, need) => withClient(options, work, need) });
  };
}

async function withClient<R>(
  options: ConnectionOptions,
  work: (client: Client) => Promise<R>,
  need?: 'credential' | 'none',
): Promise<R> {
  const client = await createClient(options, need);
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

/** The examples at the end of a command's help, each with one sentence. */
export function examples(...pairs: readonly (readonly [sentence: string, line: string])[]): string {
  return ['', 'Examples:', ...pairs.flatMap(([sentence, line]) => [`  # ${sentence}`, `  ${line}`])].join('\n');
}

/** For flags that may be given several times. */
export function collect(value: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), value];
}
