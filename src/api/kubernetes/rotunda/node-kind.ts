import { objectMeta, type Shape, struct } from '../codec/schema.js';
import { humanDuration } from '../human-duration.js';
import type { PlainObject, ResourceKind } from '../resources/types.js';
import { type Column, column } from '../table.js';
import { nodeBackend } from './node-backend.js';

const text: Shape = { kind: 'string' };
const texts: Shape = { kind: 'list', go: '[]string', of: text };

const shape = struct('Node', {
  kind: text,
  apiVersion: text,
  metadata: objectMeta,
  spec: struct('NodeSpec', { addresses: texts, dnsNames: texts, disabled: { kind: 'boolean' } }),
  status: struct('NodeStatus', {
    state: text,
    createdBy: text,
    joinedAt: { kind: 'time' },
    disabledAt: { kind: 'time' },
  }),
});

const wide = (name: string, description: string): Column => ({ ...column(name, description), priority: 1 });

/** The members of an object's spec or status; this kind's objects always have both. */
function part(object: PlainObject, name: 'spec' | 'status'): Readonly<Record<string, unknown>> {
  return (object[name] ?? {}) as Readonly<Record<string, unknown>>;
}

function listed(value: unknown): string {
  return Array.isArray(value) && value.length > 0 ? value.join(',') : '<none>';
}

function since(time: unknown, now: number): string {
  return typeof time === 'string' ? humanDuration(now - Date.parse(time)) : '<none>';
}

/** Enrolled machines as objects of `rotunda.dev/v1`, so that kubectl can manage them. */
export const nodeKind: ResourceKind = {
  group: 'rotunda.dev',
  version: 'v1',
  resource: 'nodes',
  singular: 'node',
  kind: 'Node',
  namespaced: false,
  verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
  shape,
  package: 'dev.rotunda.v1',
  description:
    'An enrolled machine: the addresses and names that its certificates may carry, and whether it may have any. It is not the Node of the API server, which the kubelet itself registers.',
  descriptions: {
    spec: 'What the machine may ask for.',
    'spec.addresses': 'IP addresses that its serving certificate may carry.',
    'spec.dnsNames': 'DNS names that its serving certificate may carry, beside its own name.',
    'spec.disabled': 'Refuses the machine, its certificates and every renewal, at once.',
    status: 'What the service knows of the machine. It cannot be written.',
    'status.state':
      'expected: may still join, with a token that is bound to it or to nothing. joined: its certificate has been used. disabled: refused.',
    'status.createdBy': 'Who enrolled it.',
    'status.joinedAt': 'When its certificate was first used.',
    'status.disabledAt': 'When it was disabled.',
  },
  columns: [
    column('Name', 'Name of the machine.', 'name'),
    column('State', 'Whether it is expected, has joined, or is disabled.'),
    column('Addresses', 'IP addresses that its certificates may carry.'),
    wide('DNS Names', 'DNS names that its certificates may carry, beside its own name.'),
    column('Joined', 'Time since it joined.'),
    column('Age', 'Time since it was enrolled.'),
  ],
  cells: (object, now) => {
    const spec = part(object, 'spec');
    const status = part(object, 'status');
    return [
      object.metadata.name,
      status['state'],
      listed(spec['addresses']),
      listed(spec['dnsNames']),
      since(status['joinedAt'], now),
      since(object.metadata.creationTimestamp, now),
    ];
  },
  fields: { 'status.state': (object) => String(part(object, 'status')['state']) },
  open: nodeBackend,
};
