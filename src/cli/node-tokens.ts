import { stringify } from 'yaml';

import type { ImportedNodeView } from '../api/rest/node-imports.js';
import type { CreatedTokenView } from '../api/rest/tokens.js';
import type { Client } from './client.js';
import type { Io } from './io.js';
import type { Format } from './output.js';

type Options = {
  readonly client: Client;
  readonly io: Io;
  readonly format: Format;
  readonly ttlSeconds: number | undefined;
};

/** Calls under way at once: they share the server's commits. */
const width = 16;

/**
 * One bound token for each node that has not joined, in the order of the nodes: for `json` and `yaml` as the objects,
 * otherwise as CSV of name, token and expiry. What was made before something went wrong is printed all the same, since
 * it cannot be seen again.
 */
export async function createTokens(options: Options, nodes: readonly ImportedNodeView[]): Promise<void> {
  const { io, format } = options;
  const expected = nodes.filter(({ state }) => state === 'expected');
  const left = nodes.length - expected.length;
  if (left > 0) io.err(`${left} without a token, because they have joined or are disabled\n`);
  const whole = format === 'json' || format === 'yaml';
  const made: CreatedTokenView[] = [];
  if (!whole) io.out('name,token,expiresAt\n');
  try {
    for (let at = 0; at < expected.length; at += width) {
      const part = await Promise.allSettled(
        expected.slice(at, at + width).map((node) => createToken(options, node.name)),
      );
      const tokens = part.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
      if (whole) made.push(...tokens);
      else io.out(tokens.map(({ node = '', token, expiresAt = '' }) => `${node},${token},${expiresAt}\n`).join(''));
      for (const result of part) if (result.status === 'rejected') throw result.reason;
    }
  } finally {
    if (format === 'json') io.out(`${JSON.stringify({ items: made }, undefined, 2)}\n`);
    if (format === 'yaml') io.out(stringify({ items: made }, { lineWidth: 0 }));
  }
}

/** A token that is bound to an enrolled node. */
export function createToken(
  { client, ttlSeconds }: Pick<Options, 'client' | 'ttlSeconds'>,
  node: string,
): Promise<CreatedTokenView> {
  return client.json('POST', '/tokens', { body: { node: { name: node }, ttlSeconds } });
}
