import path from 'node:path';

import { z } from 'zod';

import { type HeaderNames, standardHeaderNames } from '../identity/front-proxy-source.js';

/** RFC 9110 section 5.1: a token. */
const headerName = z
  .string()
  .regex(/^[-!#$%&'*+.^_`|~0-9A-Za-z]{1,128}$/, 'must be the name of an HTTP header')
  .refine((name) => !['authorization', 'cookie', 'connection', 'host'].includes(name.toLowerCase()), {
    error: 'has a meaning of its own',
  });

/** Flags of kube-apiserver in brackets. */
export const frontProxySchema = z.strictObject({
  /** PEM file of the CAs that sign front proxies (`--requestheader-client-ca-file`). Default: the ring topology.frontProxy. */
  clientCAFile: z.string().min(1).optional(),
  /** Common names of front proxies (`--requestheader-allowed-names`). */
  allowedNames: z
    .array(z.string().min(1))
    .min(1, 'must have at least one name: with none, every certificate of that CA could speak for anybody')
    .max(64)
    .optional(),
  usernameHeaders: z.array(headerName).min(1).max(8).optional(),
  uidHeaders: z.array(headerName).max(8).optional(),
  groupHeaders: z.array(headerName).max(8).optional(),
  extraHeaderPrefixes: z.array(headerName).max(8).optional(),
});

/** Who may say in request headers who calls. */
export type FrontProxyConfig = {
  /** Absolute; undefined: the ring topology.frontProxy vouches. */
  readonly clientCAFile: string | undefined;
  readonly allowedNames: readonly string[];
  readonly headerNames: HeaderNames;
};

/** The section as written, with kube-apiserver's own values for what is left out. */
export function frontProxyConfig(file: z.infer<typeof frontProxySchema> | undefined): FrontProxyConfig {
  return {
    clientCAFile: file?.clientCAFile === undefined ? undefined : path.resolve(file.clientCAFile),
    allowedNames: file?.allowedNames ?? ['front-proxy-client'],
    headerNames: {
      username: file?.usernameHeaders ?? standardHeaderNames.username,
      uid: file?.uidHeaders ?? standardHeaderNames.uid,
      group: file?.groupHeaders ?? standardHeaderNames.group,
      extraPrefix: file?.extraHeaderPrefixes ?? standardHeaderNames.extraPrefix,
    },
  };
}
