import path from 'node:path';

import { parse, stringify } from 'yaml';
import { z } from 'zod';

import { clientAuth } from '../ca/x509/usages.js';
import type { Context } from '../context.js';
import { factsOfOwn, isAged, issueOwnCertificate, type OwnCertificate, rechained } from './own-certificate.js';
import { settleOwn } from './replaced.js';
import { readIfThere, writePrivateFile } from './private-file.js';

const organizationOid = '2.5.4.10';
const commonNameOid = '2.5.4.3';
const lifetimeMs = 365 * 86_400_000;

const kubeconfigSchema = z.object({
  clusters: z
    .array(z.object({ cluster: z.object({ server: z.string(), 'certificate-authority-data': z.string() }) }))
    .min(1),
  users: z
    .array(z.object({ user: z.object({ 'client-certificate-data': z.string(), 'client-key-data': z.string() }) }))
    .min(1),
});

export type AdminKubeconfig = {
  readonly file: string;
  /** Rewrites the file when its certificate is due or what it says has changed. True when it did. */
  renewIfDue(server: string): Promise<boolean>;
};

/**
 * The administrator's credential in `<data-dir>/admin.kubeconfig` (0600): CN `admin`, O `rotunda:admins`, ring rotunda,
 * one year. It is renewed at two thirds of its life and when the ring's signer changes, and rewritten when the
 * server's address or its bundle changes.
 */
export function adminKubeconfig(context: Context, options: { forceRenewal: boolean }): AdminKubeconfig {
  const file = path.join(context.config.dataDir, 'admin.kubeconfig');
  let force = options.forceRenewal;
  let settled = false;
  const renewIfDue = async (server: string): Promise<boolean> => {
    const text = readIfThere(file);
    const stored = text === undefined ? undefined : credentialOf(text);
    if (stored !== undefined && !settled) await settleOwn(context, stored, { alone: false });
    settled = true;
    const keep = stored !== undefined && !force && !isDue(context, stored);
    const credential = keep
      ? rechained(context, context.config.topology.rotunda, stored)
      : await issue(context, stored);
    const wanted = render(server, context.ca.bundle(context.config.topology.kubernetesServer).pem, credential);
    force = false;
    if (wanted === text) return false;
    writePrivateFile(file, wanted);
    return true;
  };
  return { file, renewIfDue };
}

function issue(context: Context, inPlaceOf: OwnCertificate | undefined): Promise<OwnCertificate> {
  return issueOwnCertificate(context, {
    ring: context.config.topology.rotunda,
    profile: 'rotunda.dev/client',
    subject: [
      { oid: organizationOid, value: 'rotunda:admins' },
      { oid: commonNameOid, value: 'admin' },
    ],
    commonName: 'admin',
    names: [],
    lifetimeMs,
    extendedKeyUsage: clientAuth,
    inPlaceOf,
  });
}

function isDue(context: Context, own: OwnCertificate): boolean {
  const ring = context.config.topology.rotunda;
  const facts = factsOfOwn(own);
  if (facts === undefined || isAged(context, ring, facts)) return true;
  return context.bans.isBanned(ring, facts.serial, 'admin') !== undefined;
}

function credentialOf(text: string): OwnCertificate | undefined {
  try {
    const user = kubeconfigSchema.parse(parse(text)).users[0]?.user;
    if (user === undefined) return undefined;
    return { certificatePem: decode(user['client-certificate-data']), keyPem: decode(user['client-key-data']) };
  } catch {
    // A damaged file is replaced: it is this service's own.
    return undefined;
  }
}

function render(server: string, bundlePem: string, credential: OwnCertificate): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'admin@rotunda',
    clusters: [{ name: 'rotunda', cluster: { server, 'certificate-authority-data': encode(bundlePem) } }],
    contexts: [{ name: 'admin@rotunda', context: { cluster: 'rotunda', user: 'admin' } }],
    users: [
      {
        name: 'admin',
        user: {
          'client-certificate-data': encode(credential.certificatePem),
          'client-key-data': encode(credential.keyPem),
        },
      },
    ],
  });
}

const encode = (text: string): string => Buffer.from(text).toString('base64');
const decode = (base64: string): string => Buffer.from(base64, 'base64').toString();
