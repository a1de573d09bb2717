import { z } from 'zod';

import type { Context } from '../../context.js';
import type { EtcdCluster } from '../../fleet/types.js';
import type { Identity } from '../../identity/types.js';
import type { RestApp } from './app.js';
import { paginate } from './page.js';
import { defined, json, nameText, pageOf, pageQuery, problems, timeOf, timeText } from './schemas.js';

const clusterSchema = z
  .object({
    name: z.string(),
    clientNames: z.array(z.string()).meta({ description: 'Common names that client certificates may carry' }),
    createdAt: timeText,
    createdBy: z.string(),
  })
  .meta({ id: 'EtcdCluster', description: 'A named etcd cluster' });

const clientNames = z.array(nameText).max(256);
const draftSchema = z
  .strictObject({ name: nameText, clientNames: clientNames.optional() })
  .meta({ id: 'EtcdClusterDraft', description: 'An etcd cluster to enrol' });
const changeSchema = z
  .strictObject({ clientNames })
  .meta({ id: 'EtcdClusterChange', description: 'Replaces the client names' });
const params = z.strictObject({ cluster: nameText });
const tags = ['etcd'];

export type EtcdClusterView = z.output<typeof clusterSchema>;

export function etcdClusterRoutes(app: RestApp, context: Context): void {
  collectionRoutes(app, context);
  objectRoutes(app, context);
}

function collectionRoutes(app: RestApp, { etcd }: Context): void {
  app.get(
    '/etcd-clusters',
    {
      config: { access: { verb: 'list', resource: 'etcdclusters' } },
      schema: {
        operationId: 'listEtcdClusters',
        summary: 'List etcd clusters',
        tags,
        querystring: z.strictObject(pageQuery),
        response: { 200: json('The clusters', pageOf(clusterSchema)), ...problems },
      },
    },
    async (request) => {
      const page = paginate(await etcd.list(), ({ name }) => name, request.query);
      return { ...page, items: page.items.map(viewOf) };
    },
  );
  app.post(
    '/etcd-clusters',
    {
      config: { access: { verb: 'create', resource: 'etcdclusters' } },
      schema: {
        operationId: 'createEtcdCluster',
        summary: 'Enrol an etcd cluster',
        tags,
        body: draftSchema,
        response: { 201: json('Enrolled', clusterSchema), ...problems },
      },
    },
    async (request, reply) => {
      const cluster = await etcd.create(defined(request.body), request.identity);
      return reply.code(201).header('location', `/pki/v1/etcd-clusters/${cluster.name}`).send(viewOf(cluster));
    },
  );
}

function objectRoutes(app: RestApp, { etcd }: Context): void {
  app.get(
    '/etcd-clusters/:cluster',
    {
      config: { access: { verb: 'get', resource: 'etcdclusters', param: 'cluster', self: isOfCluster } },
      schema: {
        operationId: 'getEtcdCluster',
        summary: 'Get one etcd cluster',
        tags,
        params,
        response: { 200: json('The cluster', clusterSchema), ...problems },
      },
    },
    async (request) => viewOf(await etcd.get(request.params.cluster)),
  );
  app.patch(
    '/etcd-clusters/:cluster',
    {
      config: { access: { verb: 'update', resource: 'etcdclusters', param: 'cluster' } },
      schema: {
        operationId: 'updateEtcdCluster',
        summary: 'Replace the client names of an etcd cluster',
        tags,
        params,
        body: changeSchema,
        response: { 200: json('Updated', clusterSchema), ...problems },
      },
    },
    async (request) => viewOf(await etcd.update(request.params.cluster, request.body, request.identity)),
  );
  app.delete(
    '/etcd-clusters/:cluster',
    {
      config: { access: { verb: 'delete', resource: 'etcdclusters', param: 'cluster' } },
      schema: {
        operationId: 'deleteEtcdCluster',
        summary: 'Delete an etcd cluster that has no members',
        tags,
        params,
        response: { 204: z.undefined().describe('Deleted'), ...problems },
      },
    },
    async (request, reply) => {
      await etcd.delete(request.params.cluster, request.identity);
      return reply.code(204).send();
    },
  );
}

/** A member may know which client names its cluster has. */
function isOfCluster(identity: Identity, { cluster }: Readonly<Record<string, string>>): boolean {
  const own = identity.token?.cluster ?? identity.member?.cluster;
  return own !== undefined && own === cluster;
}

function viewOf(cluster: EtcdCluster): EtcdClusterView {
  const { name, createdAt, createdBy } = cluster;
  return { name, clientNames: [...cluster.clientNames], createdAt: timeOf(createdAt), createdBy };
}
