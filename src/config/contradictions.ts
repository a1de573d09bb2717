import type { FieldCause } from '../errors.js';
import { formatDuration } from './duration.js';
import { renewalContradictions } from './renewal.js';
import type { Config, Topology } from './types.js';

/** A CA must live at least this many times its longest leaf, so that it can be replaced without haste. */
const caOverLeaf = 6;

/** What single fields cannot show: rules between them. Empty when the configuration is sound. */
export function contradictions(config: Config, options: { allowInsecureSharedCA: boolean }): FieldCause[] {
  return [
    ...duplicateRings(config),
    ...unknownRings(config),
    ...ownClients(config),
    ...nodeProfiles(config),
    ...lifetimes(config),
    ...(options.allowInsecureSharedCA ? [] : sharedAuthorities(config.topology)),
    ...untrustedHeaders(config),
    ...highAvailability(config),
    ...renewalContradictions(config),
  ];
}

function duplicateRings(config: Config): FieldCause[] {
  const seen = new Map<string, string>();
  const causes: FieldCause[] = [];
  for (const ring of config.rings) {
    const other = seen.get(ring.commonName);
    if (other !== undefined) {
      causes.push({
        field: 'rings',
        reason: 'FieldValueDuplicate',
        message: `${JSON.stringify(ring.commonName)}: the rings ${other} and ${ring.name} must have different common names`,
      });
    }
    seen.set(ring.commonName, ring.name);
  }
  return causes;
}

function unknownRings(config: Config): FieldCause[] {
  const names = config.rings.map((ring) => ring.name);
  return config.profiles
    .filter((profile) => !names.includes(profile.ring))
    .map((profile) => ({
      field: `profiles[${profile.signerName}].ring`,
      reason: 'FieldValueNotSupported' as const,
      message: `${JSON.stringify(profile.ring)}: there is no such ring; rings are ${names.join(', ')}`,
    }));
}

/**
 * A profile that nodes get by themselves must give nodes only. Its rules compare the node in the common name, and a
 * subject that is no node's would pass them as the name of none.
 */
function nodeProfiles(config: Config): FieldCause[] {
  const causes: FieldCause[] = [];
  for (const { signerName, approval, commonName, organizations } of config.profiles) {
    if (approval !== 'node-client' && approval !== 'node-serving') continue;
    const rule = (field: string, value: unknown, text: string): void => {
      causes.push({
        field: `profiles[${signerName}].${field}`,
        reason: 'FieldValueInvalid',
        message: `${value === undefined ? 'not set' : JSON.stringify(value)}: with the approval ${approval} it must be ${text}`,
      });
    };
    const prefix = commonName !== undefined && 'prefix' in commonName ? commonName.prefix : undefined;
    if (prefix !== 'system:node:') rule('commonName', commonName, 'the prefix system:node:');
    if (organizations?.length !== 1 || organizations[0] !== 'system:nodes')
      rule('organizations', organizations, 'exactly ["system:nodes"]');
  }
  return causes;
}

/** Only the service's own ring makes its administrators, whatever a configured profile says. */
function ownClients({ profiles, topology }: Config): FieldCause[] {
  return profiles
    .filter(({ signerName, ring }) => signerName === 'rotunda.dev/client' && ring !== topology.rotunda)
    .map(({ signerName, ring }) => ({
      field: `profiles[${signerName}].ring`,
      reason: 'FieldValueInvalid' as const,
      message: `${JSON.stringify(ring)}: administrators, operators and viewers are of the ring ${topology.rotunda}`,
    }));
}

function lifetimes(config: Config): FieldCause[] {
  const byName = new Map(config.rings.map((ring) => [ring.name, ring]));
  const causes: FieldCause[] = [];
  for (const profile of config.profiles) {
    const field = `profiles[${profile.signerName}].lifetime`;
    const ring = byName.get(profile.ring);
    if (profile.lifetime.standard > profile.lifetime.longest) {
      causes.push({
        field,
        reason: 'FieldValueInvalid',
        message: `${formatDuration(profile.lifetime.standard)}: must not be more than longest, ${formatDuration(profile.lifetime.longest)}`,
      });
    }
    if (ring !== undefined && ring.lifetimeMs < caOverLeaf * profile.lifetime.longest) {
      causes.push({
        field,
        reason: 'FieldValueInvalid',
        message:
          `${formatDuration(profile.lifetime.longest)}: the ring ${ring.name} lives ${formatDuration(ring.lifetimeMs)}, ` +
          `which must be at least ${String(caOverLeaf)} times its longest leaf; shorten the leaf or lengthen rings[${ring.name}].lifetime`,
      });
    }
  }
  return causes;
}

/** Every kubelet would open etcd, or could speak for anybody through the front proxy, or administer this service. */
function sharedAuthorities(topology: Topology): FieldCause[] {
  const alone = [
    ['frontProxy', ['kubernetesClient', 'etcdPeer', 'etcdServer', 'etcdClient', 'rotunda']],
    ['etcdClient', ['kubernetesClient', 'rotunda']],
    ['etcdServer', ['kubernetesClient', 'rotunda']],
    ['etcdPeer', ['kubernetesClient', 'rotunda']],
    ['rotunda', ['kubernetesClient', 'kubernetesServer']],
  ] as const;
  const causes: FieldCause[] = [];
  for (const [purpose, others] of alone) {
    const other = others.find((name) => topology[name] === topology[purpose]);
    if (other === undefined) continue;
    causes.push({
      field: `topology.${purpose}`,
      reason: 'FieldValueForbidden',
      message:
        `${JSON.stringify(topology[purpose])}: shares its CA with topology.${other}, so that a certificate for the one opens the other; ` +
        'give it a ring of its own, or set allowInsecureSharedCA: true and accept that header trust is off',
    });
  }
  return causes;
}

/** A front proxy that is configured and yet not believed would look like one that is. */
function untrustedHeaders({ headerTrust, frontProxy }: Config): FieldCause[] {
  if (headerTrust || frontProxy.clientCAFile === undefined) return [];
  return [
    {
      field: 'frontProxy.clientCAFile',
      reason: 'FieldValueForbidden',
      message: 'no header of a front proxy is trusted with allowInsecureSharedCA: true; drop one of the two',
    },
  ];
}

/** Several replicas can share a database only if they share the key that opens it. */
function highAvailability(config: Config): FieldCause[] {
  if (config.storeUrl.startsWith('sqlite:') || config.keyEncryptionKey.kind !== 'generated') return [];
  return [
    {
      field: 'keyEncryptionKey',
      reason: 'FieldValueRequired',
      message:
        'must be set when the store is PostgreSQL, because every replica needs the same key (file, environment, passphraseFile or passphraseEnvironment)',
    },
  ];
}
