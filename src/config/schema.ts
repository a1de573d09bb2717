import { isIP } from 'node:net';

import { z } from 'zod';

import { profileConfigSchema } from '../csr/profiles.js';
import { consumersSchema } from './consumers.js';
import { durationSchema } from './duration.js';
import { frontProxySchema } from './front-proxy.js';
import { limitsSchema, requestsSchema } from './limits.js';
import { renewalSchema } from './renewal.js';
import { ringName, uniqueBy } from './names.js';
import { rotationSchema } from './rotation.js';

const listenSchema = z.string().transform((text, context) => {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3]);
  if (match === null || port > 65_535 || (match[1] !== undefined && isIP(host) !== 6)) {
    context.addIssue({ code: 'custom', message: 'must be HOST:PORT, [IPV6]:PORT or :PORT, with a port up to 65535' });
    return z.NEVER;
  }
  return { host: host === '' ? '::' : host, port };
});

const keyEncryptionKeySchema = z.union(
  [
    z.strictObject({ file: z.string().min(1) }),
    z.strictObject({ environment: z.string().min(1) }),
    z.strictObject({ passphraseFile: z.string().min(1) }),
    z.strictObject({ passphraseEnvironment: z.string().min(1) }),
  ],
  { error: 'must have exactly one of file, environment, passphraseFile and passphraseEnvironment' },
);

const ringSchema = z.strictObject({
  name: ringName,
  keyType: z.enum(['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-3072', 'rsa-4096', 'ed25519']).optional(),
  commonName: z.string().min(1).max(48).optional(),
  lifetime: durationSchema.optional(),
});

const storeSchema = z.union(
  [
    z.strictObject({
      url: z.string().regex(/^(sqlite:.+|postgres(ql)?:\/\/.+)$/, 'must be sqlite:PATH or postgres://…'),
    }),
    z.strictObject({ urlFile: z.string().min(1) }),
    z.strictObject({ urlEnvironment: z.string().min(1) }),
  ],
  { error: 'must have exactly one of url (sqlite:PATH or postgres://…), urlFile and urlEnvironment' },
);

/** The file as written, before names are resolved against each other. */
export const fileSchema = z.strictObject({
  apiVersion: z.literal('rotunda.dev/v1alpha1'),
  kind: z.literal('Configuration').optional(),
  dataDir: z.string().min(1).optional(),
  listen: listenSchema.optional(),
  health: z.strictObject({ listen: listenSchema.optional() }).optional(),
  store: storeSchema.optional(),
  serving: z
    .strictObject({
      names: z.array(z.string().min(1)).max(64).optional(),
      advertiseUrl: z.url({ protocol: /^https$/, error: 'must be an https URL' }).optional(),
    })
    .optional(),
  keyEncryptionKey: keyEncryptionKeySchema.optional(),
  rings: uniqueBy('name', ringSchema).optional(),
  topology: z
    .strictObject({
      kubernetesClient: ringName.optional(),
      kubernetesServer: ringName.optional(),
      etcdPeer: ringName.optional(),
      etcdServer: ringName.optional(),
      etcdClient: ringName.optional(),
      frontProxy: ringName.optional(),
      rotunda: ringName.optional(),
    })
    .optional(),
  frontProxy: frontProxySchema.optional(),
  kubernetes: z
    .strictObject({
      /** The credential for the API server that the service stands behind. */
      kubeconfig: z.string().min(1).optional(),
      /** Published in cluster-info instead of this service: where a join ends. */
      apiServer: z.url({ protocol: /^https$/, error: 'must be an https URL' }).optional(),
      /** Manifests of kubeadm-config and kubelet-config. */
      configMaps: z.array(z.string().min(1)).max(8).optional(),
    })
    .optional(),
  allowInsecureSharedCA: z.boolean().optional(),
  lifetimes: z.enum(['rotunda', 'upstream']).optional(),
  nodeApproval: z.enum(['enrolled', 'upstream-any-node-name']).optional(),
  profiles: uniqueBy('signerName', profileConfigSchema).optional(),
  requests: requestsSchema.optional(),
  limits: limitsSchema.optional(),
  renewal: renewalSchema.optional(),
  rotation: rotationSchema.optional(),
  consumers: consumersSchema.optional(),
  log: z.strictObject({ level: z.enum(['debug', 'info', 'warn', 'error', 'silent']).optional() }).optional(),
});

export type ConfigFile = z.infer<typeof fileSchema>;
