import type { AltName } from '../../ca/x509/types.js';
import type { Profile } from '../types.js';
import { failed, passed, quoted, type Rule, type RuleInput, type Verdict } from './rule.js';

const fits = passed('within the profile');
const labels: Readonly<Record<AltName['kind'], string>> = { dns: 'DNS', email: 'Email', ip: 'IP', uri: 'URI' };
const nodeOrganization = 'system:nodes';

/** Rules that nobody can override: the profile's shape in upstream's order and words, then what Rotunda never signs. */
export function hardRules(profile: Profile): readonly Rule[] {
  const subject = [organizationRule, ...(profile.names.atLeastOne ? [nameRequiredRule] : []), ...nameRules];
  const rest = profile.approval === 'node-serving' ? [usagesRule, commonNameRule] : [commonNameRule, usagesRule];
  return [...subject, ...rest, reservedGroupsRule, noAuthorityRule, soundRequestRule];
}

function hard(name: string, check: (input: RuleInput) => Verdict): Rule {
  return { name, kind: 'hard', check };
}

const organizationRule = hard('organization', ({ profile, csr }) => {
  const wanted = profile.organizations;
  if (wanted === undefined) return fits;
  const same =
    csr.organizations.length === wanted.length && csr.organizations.every((value, index) => value === wanted[index]);
  if (same) return fits;
  if (wanted.length === 1 && wanted[0] === nodeOrganization) return failed('subject organization is not system:nodes');
  return failed(
    wanted.length === 0 ? 'subject organization is not allowed' : `subject organization is not ${quoted(wanted)}`,
  );
});

const nameRequiredRule = hard('name-required', ({ csr }) =>
  csr.names.some((name) => name.kind === 'dns' || name.kind === 'ip')
    ? fits
    : failed('DNS or IP subjectAltName is required'),
);

const nameRules = (['dns', 'email', 'ip', 'uri'] as const).map((kind) =>
  hard(`${kind}-names`, ({ profile, csr }) =>
    profile.names[kind] || !csr.names.some((name) => name.kind === kind)
      ? fits
      : failed(`${labels[kind]} subjectAltNames are not allowed`),
  ),
);

const commonNameRule = hard('common-name', ({ profile, csr }) => {
  const wanted = profile.commonName;
  if (wanted === undefined) return fits;
  if ('exact' in wanted)
    return csr.commonName === wanted.exact ? fits : failed(`subject common name is not ${wanted.exact}`);
  return csr.commonName.startsWith(wanted.prefix)
    ? fits
    : failed(`subject common name does not begin with ${wanted.prefix}`);
});

const usagesRule = hard('usages', ({ profile, usages }) => {
  const { required, optional } = profile.usages;
  const stray = usages.find((usage) => !required.includes(usage) && !optional.includes(usage));
  const lacking = required.find((usage) => !usages.includes(usage));
  if (stray === undefined && lacking === undefined) return fits;
  if (required.length === 1 && required[0] === 'client auth') {
    return failed(
      stray === undefined
        ? 'missing required usage for client certificate: client auth'
        : `invalid usage for client certificate: ${stray}`,
    );
  }
  return failed(`usages did not match [${[...required, ...optional].sort().join(' ')}]`);
});

/** `rotunda:*` makes administrators of this service, `system:masters` of the cluster, and `system:*` is the cluster's own. */
const reservedGroupsRule = hard('reserved-groups', ({ profile, csr }) => {
  const allowed = (group: string): boolean =>
    profile.organizations?.includes(group) === true || profile.signerName === 'rotunda.dev/client';
  const reserved = csr.organizations.filter((group) => {
    const name = group.trim().toLowerCase();
    if (name.startsWith('rotunda:') || name === 'system:masters') return !allowed(group);
    return name.startsWith('system:') && profile.approval !== 'person' && !allowed(group);
  });
  if (profile.signerName === 'rotunda.dev/client') return ownGroup(csr.organizations);
  if (reserved.length > 0) return failed(`the organizations ${quoted(reserved)} are reserved`);
  return fits;
});

const ownGroups = ['rotunda:admins', 'rotunda:operators', 'rotunda:viewers'];

function ownGroup(organizations: readonly string[]): Verdict {
  const [only] = organizations;
  return organizations.length === 1 && only !== undefined && ownGroups.includes(only)
    ? fits
    : failed(`subject organization is not exactly one of ${quoted(ownGroups)}`);
}

const noAuthorityRule = hard('no-authority', ({ csr }) =>
  csr.requestsCa ? failed('basicConstraints: a CA certificate was asked for, which is never given') : fits,
);

/** What the reader found that upstream would take and Rotunda never signs: weak keys, hostile names, smuggled extensions. */
const soundRequestRule = hard('sound-request', ({ csr }) =>
  csr.problems.length === 0
    ? passed('the request is sound')
    : failed(csr.problems.map((p) => `${p.field}: ${p.message}`).join('; ')),
);
