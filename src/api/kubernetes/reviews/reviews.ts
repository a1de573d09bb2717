import type { FastifyReply } from 'fastify';

import { rfc3339 } from '../../../csr/time.js';
import { type FieldCause, invalid } from '../../../errors.js';
import { reviewedIdentity } from '../../../identity/roles.js';
import { rules } from '../../../identity/rules.js';
import type { Attributes, Identity } from '../../../identity/types.js';
import { bodyOf, type Call, type Handler, warn } from '../call.js';
import { bodyFormat, decodeBody, type Expected } from '../codec/decode.js';
import {
  selfSubjectAccessReview,
  selfSubjectReview,
  selfSubjectRulesReview,
  type StructShape,
  subjectAccessReview,
} from '../codec/schema.js';
import { writeOptions } from '../options.js';
import { sendValue } from '../render.js';

const authentication = 'authentication.k8s.io/v1';
const authorization = 'authorization.k8s.io/v1';

type ResourceAttributes = {
  readonly namespace?: string;
  readonly verb?: string;
  readonly group?: string;
  readonly version?: string;
  readonly resource?: string;
  readonly subresource?: string;
  readonly name?: string;
};
type NonResourceAttributes = { readonly path?: string; readonly verb?: string };
type AccessSpec = {
  readonly resourceAttributes?: ResourceAttributes;
  readonly nonResourceAttributes?: NonResourceAttributes;
};
type SubjectSpec = AccessSpec & {
  readonly user?: string;
  readonly groups?: readonly string[];
  readonly uid?: string;
  readonly extra?: Readonly<Record<string, readonly string[]>>;
};

/** The create handlers of both review groups, by group and resource. Nothing is stored. */
export const reviews: Readonly<Record<string, Readonly<Record<string, Handler>>>> = {
  'authentication.k8s.io': { selfsubjectreviews: whoAmI },
  'authorization.k8s.io': {
    selfsubjectaccessreviews: mayI,
    subjectaccessreviews: mayThey,
    selfsubjectrulesreviews: whatMayI,
  },
};

function decode(call: Call, kind: string, apiVersion: string, shape: StructShape): Record<string, unknown> {
  const format = bodyFormat(call.request.headers['content-type']);
  const options = writeOptions('CreateOptions', call.query);
  const expected: Expected = { kind, apiVersions: [apiVersion], shape };
  const { value, warnings } = decodeBody(bodyOf(call), format, expected, options.fieldValidation);
  warn(call.reply, warnings);
  return value;
}

function answer(
  call: Call,
  kind: string,
  apiVersion: string,
  content: Readonly<Record<string, unknown>>,
): FastifyReply {
  const { as: _as, ...representation } = call.representation;
  return sendValue(call.reply, 201, { kind, apiVersion, ...content }, representation);
}

function whoAmI(call: Call): FastifyReply {
  decode(call, 'SelfSubjectReview', authentication, selfSubjectReview);
  const { username, uid, groups, extra } = call.request.identity;
  const userInfo = {
    username,
    ...(uid === '' ? {} : { uid }),
    ...(groups.length === 0 ? {} : { groups }),
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  };
  const metadata = { creationTimestamp: rfc3339(call.api.clock.now().getTime()) };
  return answer(call, 'SelfSubjectReview', authentication, { metadata, status: { userInfo } });
}

function mayI(call: Call): FastifyReply {
  const value = decode(call, 'SelfSubjectAccessReview', authorization, selfSubjectAccessReview);
  const spec = (value['spec'] ?? {}) as AccessSpec;
  refuse(accessCauses(spec));
  return answer(call, 'SelfSubjectAccessReview', authorization, {
    metadata: {},
    spec,
    status: verdictOf(call, call.request.identity, spec),
  });
}

function mayThey(call: Call): FastifyReply {
  const value = decode(call, 'SubjectAccessReview', authorization, subjectAccessReview);
  const spec = (value['spec'] ?? {}) as SubjectSpec;
  const nobody = (spec.user ?? '') === '' && (spec.groups ?? []).length === 0;
  const causes = accessCauses(spec);
  if (nobody)
    causes.push({
      field: 'spec.user',
      reason: 'FieldValueInvalid',
      message: 'Invalid value: "": at least one of user or group must be specified',
    });
  refuse(causes);
  const identity = reviewedIdentity({
    username: spec.user ?? '',
    groups: spec.groups ?? [],
    uid: spec.uid ?? '',
    extra: spec.extra ?? {},
  });
  return answer(call, 'SubjectAccessReview', authorization, {
    metadata: {},
    spec,
    status: verdictOf(call, identity, spec),
  });
}

function accessCauses(spec: AccessSpec): FieldCause[] {
  const { resourceAttributes, nonResourceAttributes } = spec;
  const rule = 'exactly one of nonResourceAttributes or resourceAttributes must be specified';
  const wrong = (field: string, value: string): FieldCause[] => [
    { field, reason: 'FieldValueInvalid', message: `Invalid value: ${value}: ${rule}` },
  ];
  if (resourceAttributes === undefined && nonResourceAttributes === undefined)
    return wrong('spec.resourceAttributes', 'null');
  if (resourceAttributes !== undefined && nonResourceAttributes !== undefined) {
    return [
      {
        field: 'spec.nonResourceAttributes',
        reason: 'FieldValueInvalid',
        message: 'Invalid value: cannot be specified in combination with resourceAttributes',
      },
    ];
  }
  return [];
}

function refuse(causes: readonly FieldCause[]): void {
  if (causes.length > 0) throw invalid(causes, { group: 'authorization.k8s.io' });
}

function verdictOf(call: Call, identity: Identity, spec: AccessSpec): { allowed: boolean; reason?: string } {
  const { allowed, reason } = call.api.authorize(identity, attributesOf(spec));
  return { allowed, ...(allowed && reason !== '' ? { reason } : {}) };
}

function attributesOf({ resourceAttributes, nonResourceAttributes }: AccessSpec): Attributes {
  if (nonResourceAttributes !== undefined)
    return { verb: nonResourceAttributes.verb ?? '', path: nonResourceAttributes.path ?? '' };
  const { verb = '', group = '', resource = '', subresource, name, namespace } = resourceAttributes ?? {};
  return {
    verb,
    group,
    resource,
    ...(subresource === undefined ? {} : { subresource }),
    ...(name === undefined ? {} : { name }),
    ...(namespace === undefined ? {} : { namespace }),
  };
}

const everything = ['*'];

/** `kubectl auth can-i --list`: what the roles of the caller say. Conditions of rules are left out, so it may promise too much. */
function whatMayI(call: Call): FastifyReply {
  const value = decode(call, 'SelfSubjectRulesReview', authorization, selfSubjectRulesReview);
  const { roles } = call.request.identity;
  const granted = roles.flatMap((role) => rules[role]);
  const all = roles.includes('admin');
  const resourceRules = granted.flatMap((rule) =>
    'paths' in rule
      ? []
      : [{ verbs: rule.verbs ?? everything, apiGroups: [rule.group], resources: rule.resources ?? everything }],
  );
  const nonResourceRules = granted.flatMap((rule) =>
    'paths' in rule ? [{ verbs: rule.verbs, nonResourceURLs: rule.paths }] : [],
  );
  const status = {
    resourceRules: all
      ? [{ verbs: everything, apiGroups: everything, resources: everything }, ...resourceRules]
      : resourceRules,
    nonResourceRules: all
      ? [{ verbs: everything, nonResourceURLs: everything }, ...nonResourceRules]
      : nonResourceRules,
    incomplete: false,
  };
  return answer(call, 'SelfSubjectRulesReview', authorization, { metadata: {}, spec: value['spec'] ?? {}, status });
}
