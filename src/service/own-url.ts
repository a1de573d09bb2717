import { networkInterfaces } from 'node:os';

import type { Config } from '../config/types.js';

/**
 * Where a machine of the cluster reaches this service, for what is published while no address is configured: the name that
 * is listened on, else the first configured name, else this machine's first address. Not from any request: whoever
 * asks must not decide it, and two answers must be the same.
 */
export function ownUrl({ listen, serving }: Pick<Config, 'listen' | 'serving'>, port: number): string {
  const everywhere = listen.host === '::' || listen.host === '0.0.0.0';
  const host = everywhere ? (serving.names[0] ?? firstAddress() ?? 'localhost') : listen.host;
  return `https://${host.includes(':') ? `[${host}]` : host}:${String(port)}`;
}

function firstAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const usable = all.filter(({ internal, address }) => !internal && !address.toLowerCase().startsWith('fe80:'));
  return (usable.find(({ family }) => family === 'IPv4') ?? usable[0])?.address;
}
