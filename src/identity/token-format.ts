import type { Random } from '../clock.js';

/** Kubernetes' bootstrap token: a public id and a secret. */
export type TokenParts = { readonly id: string; readonly secret: string };

const tokenPattern = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const groupPattern = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;
const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789';

/** The group of every bootstrap token. */
export const bootstrappersGroup = 'system:bootstrappers';
/** kubeadm binds what its joining nodes may do to this group. */
export const kubeadmNodeGroup = 'system:bootstrappers:kubeadm:default-node-token';

/** Splits `abcdef.0123456789abcdef`; undefined for anything else (cluster-bootstrap's `\A…\z`, so no final newline). */
export function parseToken(text: string): TokenParts | undefined {
  const match = text.length === 23 ? tokenPattern.exec(text) : null;
  const [, id, secret] = match ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

/** A fresh token; 16 characters of 36 are 82 bits of secret. */
export function makeToken(random: Random): TokenParts {
  return { id: characters(random, 6), secret: characters(random, 16) };
}

/** Whether Kubernetes takes this as a group that a token adds to its user. */
export function isTokenGroup(text: string): boolean {
  return groupPattern.test(text);
}

function characters(random: Random, count: number): string {
  let text = '';
  while (text.length < count) {
    for (const byte of random.bytes(count * 2)) {
      // 252 is the largest multiple of 36 in a byte: dropping what is above keeps every character equally likely.
      if (byte < 252 && text.length < count) text += alphabet.charAt(byte % alphabet.length);
    }
  }
  return text;
}
