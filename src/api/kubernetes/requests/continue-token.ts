import { RotundaError } from '../../../errors.js';
import { badBase64 } from '../codec/conform.js';
import { scanJson } from '../codec/json-scan.js';

/** Where the next page starts, and the version of the first page. */
export type ContinueToken = { readonly revision: number; readonly start: string };

/** In a token: go on with whatever is there now, as upstream offers when the first page's version is gone. */
export const anyRevision = -1;

const version = 'meta.k8s.io/v1';

export function encodeContinue({ revision, start }: ContinueToken): string {
  return Buffer.from(JSON.stringify({ v: version, rv: revision, start })).toString('base64url');
}

/** Throws 'bad-request' in upstream's words. */
export function decodeContinue(token: string): ContinueToken {
  const fail = (message: string): never => {
    throw new RotundaError('bad-request', `invalid continue token: continue key is not valid: ${message}`);
  };
  const standard = token.replaceAll('-', '+').replaceAll('_', '/');
  const bad = badBase64(standard.padEnd(Math.ceil(standard.length / 4) * 4, '='));
  if (bad !== undefined) fail(`illegal base64 data at input byte ${String(bad)}`);
  const text = Buffer.from(token, 'base64url').toString('latin1');
  const { error } = scanJson(text);
  if (error !== undefined) fail(error);
  const value = JSON.parse(Buffer.from(token, 'base64url').toString('utf8')) as {
    v?: unknown;
    rv?: unknown;
    start?: unknown;
  } | null;
  if (value?.v !== version)
    fail(`server does not recognize this encoded version "${typeof value?.v === 'string' ? value.v : ''}"`);
  if (typeof value?.start !== 'string' || value.start === '') fail('encoded start key empty (v1)');
  if (typeof value?.rv !== 'number' || !Number.isSafeInteger(value.rv) || value.rv < anyRevision)
    fail('incorrect encoded start resourceVersion');
  return { revision: Number(value?.rv), start: String(value?.start) };
}
