import { createHash, X509Certificate } from 'node:crypto';
import { rmSync } from 'node:fs';
import path from 'node:path';

import { stringify } from 'yaml';

import { clientAuth } from '../ca/x509/usages.js';
import { type Kubeconfig, readKubeconfig } from '../kubeconfig.js';
import {
  factsOfOwn,
  isAged,
  issueOwnCertificate,
  type OwnCertificate,
  type OwnCertificateParts,
} from '../service/own-certificate.js';
import { readIfThere, writePrivateFile } from '../service/private-file.js';
import { replaced, settleOwn } from '../service/replaced.js';
import { type ClusterClient, createClusterClient } from './client.js';
import { serviceUser } from './manifests.js';
import type { AttachmentRecord } from './record.js';

const commonNameOid = '2.5.4.3';
const lifetimeMs = 90 * 86_400_000;
/** One call; what waits longer is tried again later. */
const callTimeoutMs = 10_000;

export type CredentialOptions = OwnCertificateParts & {
  readonly dataDir: string;
  /** `kubernetes.kubeconfig` of the configuration; undefined: the service makes its own, once it knows the API server. */
  readonly configured: string | undefined;
  readonly clientRing: string;
};

export type ClusterCredential = {
  readonly file: string;
  /** A client for the API server; undefined while nothing says where it is. The same until the file changes. */
  client(): ClusterClient | undefined;
  /** When its client certificate ends, milliseconds; undefined for a token and where there is none. */
  notAfter(): number | undefined;
  /** Makes, renews or removes the file as the record says. */
  keep(record: AttachmentRecord | undefined): Promise<void>;
  close(): Promise<void>;
};

type Open = {
  readonly digest: string;
  readonly client: ClusterClient;
  readonly config: Kubeconfig;
  readonly made: OwnCertificate | undefined;
};

/**
 * The kubeconfig that the running service speaks to the API server with: the configured file, or
 * `<data-dir>/cluster.kubeconfig` (0600), which the service makes with a client certificate of the kubernetes ring for
 * `system:rotunda` and renews at two thirds of its life. A credential of somebody else in the configured file is used as
 * it is. Each replica has its own; the key does not leave the machine.
 */
export function clusterCredential(options: CredentialOptions): ClusterCredential {
  const file = options.configured ?? path.join(options.dataDir, 'cluster.kubeconfig');
  let open: Open | undefined;
  let settled = false;
  const close = async (): Promise<void> => {
    const { client } = open ?? {};
    open = undefined;
    await client?.close();
  };
  const load = async (): Promise<void> => {
    const text = readIfThere(file);
    const digest = text === undefined ? undefined : createHash('sha256').update(text).digest('hex');
    if (open?.digest === digest) return;
    await close();
    if (digest === undefined) return;
    const config = readKubeconfig(file);
    open = {
      digest,
      config,
      client: createClusterClient(config, { timeoutMs: callTimeoutMs }),
      made: madeHere(config),
    };
  };
  const write = async (server: string, ca: string | undefined, serverName: string | undefined): Promise<void> => {
    const before = open?.made;
    const own = await issue(options, before);
    writePrivateFile(file, render({ server, ca, serverName }, own));
    await load();
    if (before !== undefined) await replaced(options, before, own);
  };
  const settle = async (): Promise<void> => {
    if (open?.made !== undefined && !settled) await settleOwn(options, open.made, { alone: true });
    settled = true;
  };
  return {
    file,
    client: () => open?.client,
    notAfter: () => (open?.config.cert === undefined ? undefined : endOf(open.config.cert)),
    keep: async (record) => {
      await load();
      await settle();
      const wanted = options.configured === undefined ? record?.cluster : undefined;
      if (open === undefined) {
        if (wanted !== undefined) await write(wanted.server, wanted.ca, undefined);
      } else if (options.configured === undefined && wanted === undefined) {
        rmSync(file, { force: true });
      } else if (isStale(options, open, wanted)) {
        const { server, ca } = wanted ?? open.config;
        await write(server, ca, wanted === undefined ? open.config.serverName : undefined);
      }
      await load();
    },
    close,
  };
}

/** Another API server than before, or a certificate of this service's own that is due; one of somebody else's is left. */
function isStale(options: CredentialOptions, { config, made }: Open, wanted: AttachmentRecord['cluster']): boolean {
  if (wanted !== undefined && (wanted.server !== config.server || wanted.ca !== config.ca)) return true;
  if (made === undefined) return config.cert === undefined && config.token === undefined;
  const facts = factsOfOwn(made);
  return facts === undefined || isAged(options, options.clientRing, facts);
}

/** The certificate, where it is one that the service gave itself. */
function madeHere({ cert, key }: Kubeconfig): OwnCertificate | undefined {
  if (cert === undefined || key === undefined) return undefined;
  const own = { certificatePem: cert, keyPem: key };
  const name = factsOfOwn(own)?.subject.findLast(({ oid }) => oid === commonNameOid)?.value;
  return name === serviceUser ? own : undefined;
}

function issue(options: CredentialOptions, inPlaceOf: OwnCertificate | undefined): Promise<OwnCertificate> {
  return issueOwnCertificate(options, {
    ring: options.clientRing,
    profile: 'rotunda.dev/cluster-client',
    subject: [{ oid: commonNameOid, value: serviceUser }],
    commonName: serviceUser,
    names: [],
    lifetimeMs,
    extendedKeyUsage: clientAuth,
    inPlaceOf,
  });
}

function endOf(pem: string): number | undefined {
  try {
    return Date.parse(new X509Certificate(pem).validTo);
  } catch {
    return undefined;
  }
}

function render(
  { server, ca, serverName }: { server: string; ca: string | undefined; serverName: string | undefined },
  own: OwnCertificate,
): string {
  const encode = (text: string): string => Buffer.from(text).toString('base64');
  const cluster = {
    server,
    ...(ca === undefined ? {} : { 'certificate-authority-data': encode(ca) }),
    ...(serverName === undefined ? {} : { 'tls-server-name': serverName }),
  };
  const user = { 'client-certificate-data': encode(own.certificatePem), 'client-key-data': encode(own.keyPem) };
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'cluster',
    clusters: [{ name: 'cluster', cluster }],
    contexts: [{ name: 'cluster', context: { cluster: 'cluster', user: 'rotunda' } }],
    users: [{ name: 'rotunda', user }],
  });
}
