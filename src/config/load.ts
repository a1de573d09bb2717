import { readFileSync } from 'node:fs';
import path from 'node:path';

import { parseDocument } from 'yaml';
import { type z } from 'zod';

import { builtInProfiles, buildProfile } from '../csr/profiles.js';
import type { Profile } from '../csr/types.js';
import { type FieldCause, invalid, RotundaError } from '../errors.js';
import { consumerContradictions, consumersFrom } from './consumers.js';
import { contradictions } from './contradictions.js';
import { frontProxyConfig } from './front-proxy.js';
import { limitsFrom, retentionFrom } from './limits.js';
import { readConfigMaps } from './manifests.js';
import { renewalConfig } from './renewal.js';
import { rotationConfig } from './rotation.js';
import { rotationContradictions } from './rotation-contradictions.js';
import { type ConfigFile, fileSchema } from './schema.js';
import type { Config, KeyEncryptionKeySource, Topology } from './types.js';

const dayMs = 86_400_000;
const defaultTopology: Topology = {
  kubernetesClient: 'kubernetes',
  kubernetesServer: 'kubernetes',
  etcdPeer: 'etcd',
  etcdServer: 'etcd',
  etcdClient: 'etcd',
  frontProxy: 'front-proxy',
  rotunda: 'rotunda',
};
/** kubeadm's names for its three CAs. */
const defaultCommonNames: Readonly<Record<string, string>> = { etcd: 'etcd-ca', 'front-proxy': 'front-proxy-ca' };

/** What the command line sets; it wins over the file. */
export type ConfigFlags = { readonly configFile?: string; readonly dataDir?: string; readonly listen?: string };

/**
 * Flags over file over defaults, validated as a whole. Throws RotundaError 'invalid' that names each path, value and
 * rule, also for contradictions between fields.
 */
export function loadConfig(flags: ConfigFlags, env: NodeJS.ProcessEnv = process.env): Config {
  const file = flags.configFile === undefined ? {} : readYaml(flags.configFile);
  const fromFlags = {
    ...(flags.dataDir === undefined ? {} : { dataDir: flags.dataDir }),
    ...(flags.listen === undefined ? {} : { listen: flags.listen }),
  };
  const raw = {
    apiVersion: 'rotunda.dev/v1alpha1',
    ...(flags.configFile === undefined ? {} : { apiVersion: undefined }),
    ...file,
    ...fromFlags,
  };
  return buildConfig(parseFile(raw), env);
}

/** The configuration that an object in the file's format means. Throws as loadConfig. */
export function configFrom(raw: unknown, env: NodeJS.ProcessEnv = process.env): Config {
  return buildConfig(parseFile(raw), env);
}

function readYaml(file: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new RotundaError('bad-request', `cannot read the configuration file ${file}: ${(error as Error).message}`);
  }
  const document = parseDocument(text, { prettyErrors: true });
  const problem = document.errors[0];
  if (problem !== undefined) throw new RotundaError('bad-request', `${file} is not YAML: ${problem.message}`);
  const value: unknown = document.toJS();
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new RotundaError(
      'bad-request',
      `${file} must be a YAML mapping that starts with apiVersion: rotunda.dev/v1alpha1`,
    );
  }
  return value as Record<string, unknown>;
}

function parseFile(raw: unknown): ConfigFile {
  const parsed = fileSchema.safeParse(raw, { reportInput: true });
  if (parsed.success) return parsed.data;
  throw invalid(parsed.error.issues.map(causeOf));
}

function causeOf(issue: z.core.$ZodIssue): FieldCause {
  const field = issue.path
    .map((part) => (typeof part === 'number' ? `[${String(part)}]` : `.${String(part)}`))
    .join('')
    .replace(/^\./, '');
  const value = issue.input === undefined ? 'not set' : JSON.stringify(issue.input);
  const unknown = issue.code === 'unrecognized_keys';
  // A database address may hold a password.
  const secret = issue.path[0] === 'store';
  return {
    field: field === '' ? '(file)' : field,
    reason: unknown ? 'FieldValueNotSupported' : 'FieldValueInvalid',
    message: unknown ? `unknown field ${issue.keys.join(', ')}` : secret ? issue.message : `${value}: ${issue.message}`,
  };
}

function buildConfig(file: ConfigFile, env: NodeJS.ProcessEnv): Config {
  const dataDir = path.resolve(file.dataDir ?? env['ROTUNDA_DATA_DIR'] ?? 'rotunda-data');
  const topology = { ...defaultTopology, ...definedOf(file.topology ?? {}) };
  const rings = ringsOf(file, topology);
  const configured = (file.profiles ?? []).map((raw) => buildProfile(raw, topology));
  const profiles = mergeProfiles(builtInProfiles(topology, file.lifetimes ?? 'rotunda'), configured);
  const config: Config = {
    dataDir,
    listen: file.listen ?? { host: '::', port: 8443 },
    healthListen: file.health?.listen,
    storeUrl: storeUrl(file, dataDir, env),
    serving: { names: file.serving?.names ?? [] },
    advertiseUrl: file.serving?.advertiseUrl?.replace(/\/+$/, ''),
    keyEncryptionKey: keyEncryptionKey(file, dataDir, env),
    rings,
    topology,
    profiles,
    nodeApproval: file.nodeApproval === 'upstream-any-node-name' ? 'upstream' : 'enrolled',
    headerTrust: file.allowInsecureSharedCA !== true,
    frontProxy: frontProxyConfig(file.frontProxy),
    retention: retentionFrom(file.requests),
    limits: limitsFrom(file.limits),
    renewal: renewalConfig(file.renewal),
    rotation: rotationConfig(file.rotation, rings, profiles),
    consumers: consumersFrom(file.consumers),
    kubernetes: {
      kubeconfig: file.kubernetes?.kubeconfig === undefined ? undefined : path.resolve(file.kubernetes.kubeconfig),
      apiServer: file.kubernetes?.apiServer?.replace(/\/+$/, ''),
      configMaps: readConfigMaps(file.kubernetes?.configMaps ?? []),
    },
    log: { level: file.log?.level ?? logLevel(env) },
  };
  const causes = [
    ...contradictions(config, { allowInsecureSharedCA: file.allowInsecureSharedCA === true }),
    ...rotationContradictions(config, file.rotation),
    ...consumerContradictions(config),
  ];
  if (causes.length > 0) throw invalid(causes);
  return deepFreeze(config);
}

function ringsOf(file: ConfigFile, topology: Topology): Config['rings'] {
  const configured = new Map((file.rings ?? []).map((ring) => [ring.name, ring]));
  const names = new Set([...Object.values(topology), ...configured.keys()]);
  return [...names].map((name) => {
    const ring = configured.get(name);
    return {
      name,
      keyType: ring?.keyType ?? 'ec-p256',
      commonName: ring?.commonName ?? defaultCommonNames[name] ?? name,
      lifetimeMs: ring?.lifetime ?? 3650 * dayMs,
    };
  });
}

function mergeProfiles(builtIn: readonly Profile[], configured: readonly Profile[]): Profile[] {
  const bySigner = new Map(builtIn.map((profile) => [profile.signerName, profile]));
  for (const profile of configured) bySigner.set(profile.signerName, profile);
  return [...bySigner.values()];
}

function storeUrl(file: ConfigFile, dataDir: string, env: NodeJS.ProcessEnv): string {
  const store = file.store;
  if (store === undefined) return `sqlite:${path.join(dataDir, 'rotunda.db')}`;
  if ('url' in store) return store.url;
  if ('urlFile' in store) return readSecretFile(store.urlFile, 'store.urlFile');
  return readSecretVariable(env, store.urlEnvironment, 'store.urlEnvironment');
}

function keyEncryptionKey(file: ConfigFile, dataDir: string, env: NodeJS.ProcessEnv): KeyEncryptionKeySource {
  const key = file.keyEncryptionKey;
  if (key === undefined) return { kind: 'generated', file: path.join(dataDir, 'key-encryption.key') };
  if ('file' in key) return { kind: 'file', file: path.resolve(key.file) };
  if ('environment' in key) return { kind: 'environment', variable: key.environment };
  if ('passphraseFile' in key) {
    return { kind: 'passphrase', passphrase: readSecretFile(key.passphraseFile, 'keyEncryptionKey.passphraseFile') };
  }
  const passphrase = readSecretVariable(env, key.passphraseEnvironment, 'keyEncryptionKey.passphraseEnvironment');
  return { kind: 'passphrase', passphrase };
}

function readSecretFile(file: string, field: string): string {
  try {
    return readFileSync(file, 'utf8').trimEnd();
  } catch (error) {
    throw invalid([{ field, reason: 'FieldValueInvalid', message: `cannot be read: ${(error as Error).message}` }]);
  }
}

function readSecretVariable(env: NodeJS.ProcessEnv, variable: string, field: string): string {
  const value = env[variable];
  if (value !== undefined && value !== '') return value;
  throw invalid([{ field, reason: 'FieldValueRequired', message: `the environment variable ${variable} is not set` }]);
}

function definedOf<T extends object>(value: T): { [K in keyof T]-?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as {
    [K in keyof T]-?: Exclude<T[K], undefined>;
  };
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}

const levels = ['debug', 'info', 'warn', 'error', 'silent'] as const;

function logLevel(env: NodeJS.ProcessEnv): Config['log']['level'] {
  const wanted = env['ROTUNDA_LOG_LEVEL'];
  if (wanted === undefined || wanted === '') return 'info';
  const known = levels.find((level) => level === wanted);
  if (known !== undefined) return known;
  const message = `${JSON.stringify(wanted)}: must be one of ${levels.join(', ')}`;
  throw invalid([{ field: '$ROTUNDA_LOG_LEVEL', reason: 'FieldValueNotSupported', message }]);
}
