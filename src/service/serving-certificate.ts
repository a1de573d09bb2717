import path from 'node:path';

import { serverAuth } from '../ca/x509/usages.js';
import type { AltName } from '../ca/x509/types.js';
import type { Context } from '../context.js';
import { factsOfOwn, isAged, issueOwnCertificate, type OwnCertificate, rechained } from './own-certificate.js';
import { replaced, settleOwn } from './replaced.js';
import { servingNames } from './local-names.js';
import { readIfThere, writePrivateFile } from './private-file.js';

const commonNameOid = '2.5.4.3';
const lifetimeMs = 90 * 86_400_000;

export type ServingCertificate = {
  current(): OwnCertificate;
  /** Issues anew when two thirds of the life are over, the names have changed or another authority signs. True when it did. */
  renewIfDue(): Promise<boolean>;
};

/**
 * The service's own TLS certificate, a leaf of the ring that serves the Kubernetes API. It is kept with its key in
 * `<data-dir>/serving.pem` (0600), so that a restart changes nothing.
 */
export async function loadServingCertificate(context: Context): Promise<ServingCertificate> {
  const file = path.join(context.config.dataDir, 'serving.pem');
  const stored = readIfThere(file);
  let current = stored === undefined ? undefined : splitPem(stored);
  if (current !== undefined) await settleOwn(context, current, { alone: true });
  const issue = async (names: readonly AltName[], before: OwnCertificate | undefined): Promise<OwnCertificate> => {
    const own = await issueOwnCertificate(context, {
      ring: context.config.topology.kubernetesServer,
      profile: 'rotunda.dev/serving',
      subject: [{ oid: commonNameOid, value: 'rotunda' }],
      commonName: 'rotunda',
      names,
      lifetimeMs,
      extendedKeyUsage: serverAuth,
      inPlaceOf: before,
    });
    writePrivateFile(file, own.certificatePem + own.keyPem);
    return own;
  };
  const renewIfDue = async (): Promise<boolean> => {
    const names = servingNames([...context.config.serving.names, ...context.attachment.servingNames()]);
    if (current !== undefined && !isDue(context, current, names)) return rechain(current);
    const before = current;
    current = await issue(names, before);
    if (before !== undefined) await replaced(context, before, current);
    return true;
  };
  const rechain = (own: OwnCertificate): boolean => {
    const wanted = rechained(context, context.config.topology.kubernetesServer, own);
    if (wanted === own) return false;
    writePrivateFile(file, wanted.certificatePem + wanted.keyPem);
    current = wanted;
    return true;
  };
  await renewIfDue();
  return {
    renewIfDue,
    current: () => {
      if (current === undefined) throw new Error('the serving certificate was not loaded');
      return current;
    },
  };
}

function isDue(context: Context, own: OwnCertificate, names: readonly AltName[]): boolean {
  const facts = factsOfOwn(own);
  if (facts === undefined || isAged(context, context.config.topology.kubernetesServer, facts)) return true;
  return namesKey(facts.names) !== namesKey(names);
}

function namesKey(names: readonly AltName[]): string {
  return names
    .map((name) => `${name.kind}:${name.value}`)
    .sort()
    .join(' ');
}

function splitPem(text: string): OwnCertificate | undefined {
  const certificate = /(?:-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----\n?)+/.exec(text)?.[0];
  const key = /-----BEGIN PRIVATE KEY-----[\s\S]+?-----END PRIVATE KEY-----\n?/.exec(text)?.[0];
  return certificate === undefined || key === undefined ? undefined : { certificatePem: certificate, keyPem: key };
}
