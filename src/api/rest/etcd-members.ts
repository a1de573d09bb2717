import { z } from 'zod';

import type { Context } from '../../context.js';
import type { EtcdMember } from '../../fleet/types.js';
import type { Identity } from '../../identity/types.js';
import type { RestApp } from './app.js';
import { paginate } from './page.js';
import { defined, json, nameText, pageOf, pageQuery, problems, text, timeOf, timeText } from './schemas.js';

const memberSchema = z
  .object({
    cluster: z.string(),
    name: z.string(),
    uid: z.string(),
    peerUrls: z.array(z.string()),
    clientUrls: z.array(z.string()),
    addresses: z.array(z.string()).meta({ description: 'IP addresses that its certificates may carry' }),
    dnsNames: z.array(z.string()).meta({ description: 'DNS names that its certificates may carry' }),
    state: z.enum(['expected', 'joined', 'disabled']),
    createdAt: timeText,
    createdBy: z.string(),
  })
  .meta({ id: 'EtcdMember', description: 'An enrolled member of an etcd cluster' });

const urls = z.array(text(512)).max(16);
const extras = {
  addresses: z.array(text(64)).max(64).optional().meta({ description: 'IP addresses beside those of the URLs' }),
  dnsNames: z.array(nameText).max(64).optional().meta({ description: 'DNS names beside those of the URLs' }),
};
const draftSchema = z
  .strictObject({ name: nameText, peerUrls: urls, clientUrls: urls, ...extras })
  .meta({ id: 'EtcdMemberDraft', description: 'A member to enrol' });
const changeSchema = z
  .strictObject({ peerUrls: urls.optional(), clientUrls: urls.optional(), ...extras })
  .meta({ id: 'EtcdMemberChange', description: 'What is given replaces what is enrolled' });
const clusterParams = z.strictObject({ cluster: nameText });
const params = z.strictObject({ cluster: nameText, member: nameText });
const tags = ['etcd'];

export type EtcdMemberView = z.output<typeof memberSchema>;

export function etcdMemberRoutes(app: RestApp, context: Context): void {
  collectionRoutes(app, context);
  objectRoutes(app, context);
}

function collectionRoutes(app: RestApp, { etcd }: Context): void {
  app.get(
    '/etcd-clusters/:cluster/members',
    {
      config: { access: { verb: 'list', resource: 'etcdmembers' } },
      schema: {
        operationId: 'listEtcdMembers',
        summary: 'List the members of an etcd cluster',
        tags,
        params: clusterParams,
        querystring: z.strictObject(pageQuery),
        response: { 200: json('The members', pageOf(memberSchema)), ...problems },
      },
    },
    async (request) => {
      const page = paginate(await etcd.members(request.params.cluster), ({ name }) => name, request.query);
      return { ...page, items: page.items.map(viewOf) };
    },
  );
  app.post(
    '/etcd-clusters/:cluster/members',
    {
      config: { access: { verb: 'create', resource: 'etcdmembers' } },
      schema: {
        operationId: 'createEtcdMember',
        summary: 'Enrol a member of an etcd cluster',
        tags,
        params: clusterParams,
        body: draftSchema,
        response: { 201: json('Enrolled', memberSchema), ...problems },
      },
    },
    async (request, reply) => {
      const member = await etcd.addMember(request.params.cluster, defined(request.body), request.identity);
      const location = `/pki/v1/etcd-clusters/${member.cluster}/members/${member.name}`;
      return reply.code(201).header('location', location).send(viewOf(member));
    },
  );
}

function objectRoutes(app: RestApp, { etcd }: Context): void {
  app.get(
    '/etcd-clusters/:cluster/members/:member',
    {
      config: { access: { verb: 'get', resource: 'etcdmembers', param: 'member', self: isMember } },
      schema: {
        operationId: 'getEtcdMember',
        summary: 'Get one member of an etcd cluster',
        tags,
        params,
        response: { 200: json('The member', memberSchema), ...problems },
      },
    },
    async (request) => viewOf(await etcd.member(request.params.cluster, request.params.member)),
  );
  app.patch(
    '/etcd-clusters/:cluster/members/:member',
    {
      config: { access: { verb: 'update', resource: 'etcdmembers', param: 'member' } },
      schema: {
        operationId: 'updateEtcdMember',
        summary: 'Replace the URLs, addresses or DNS names of a member',
        tags,
        params,
        body: changeSchema,
        response: { 200: json('Updated', memberSchema), ...problems },
      },
    },
    async (request) => {
      const { cluster, member } = request.params;
      return viewOf(await etcd.updateMember(cluster, member, defined(request.body), request.identity));
    },
  );
  app.delete(
    '/etcd-clusters/:cluster/members/:member',
    {
      config: { access: { verb: 'delete', resource: 'etcdmembers', param: 'member' } },
      schema: {
        operationId: 'deleteEtcdMember',
        summary: 'Remove a member and ban its certificates',
        tags,
        params,
        response: { 204: z.undefined().describe('Removed'), ...problems },
      },
    },
    async (request, reply) => {
      await etcd.removeMember(request.params.cluster, request.params.member, request.identity);
      return reply.code(204).send();
    },
  );
}

/** A member may know the names that it is enrolled with: it asks for certificates with them. */
function isMember(identity: Identity, { cluster, member }: Readonly<Record<string, string>>): boolean {
  const self =
    identity.token === undefined ? identity.member : { cluster: identity.token.cluster, name: identity.token.member };
  return self !== undefined && self.cluster === cluster && self.name === member;
}

function viewOf(member: EtcdMember): EtcdMemberView {
  return {
    ...member,
    peerUrls: [...member.peerUrls],
    clientUrls: [...member.clientUrls],
    addresses: [...member.addresses],
    dnsNames: [...member.dnsNames],
    createdAt: timeOf(member.createdAt),
  };
}
