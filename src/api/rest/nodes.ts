import { z } from 'zod';

import type { Context } from '../../context.js';
import type { Node, NodeCertificate, NodeFilter, Nodes } from '../../fleet/types.js';
import type { RestApp } from './app.js';
import {
  defined,
  json,
  nameText,
  optionalTime,
  pageOf,
  pageQuery,
  problems,
  text,
  timeOf,
  timeText,
} from './schemas.js';

const nodeSchema = z
  .object({
    name: z.string(),
    uid: z.string(),
    state: z.enum(['expected', 'joined', 'disabled']),
    addresses: z.array(z.string()),
    dnsNames: z.array(z.string()),
    labels: z.record(z.string(), z.string()),
    createdAt: timeText,
    createdBy: z.string(),
    joinedAt: timeText.optional(),
    disabledAt: timeText.optional(),
    certificate: z
      .object({ serial: z.string(), notAfter: timeText })
      .optional()
      .meta({ description: 'Its live client certificate that lasts longest' }),
  })
  .meta({ id: 'Node', description: 'An enrolled machine, with the names and addresses that its requests may ask for' });

const facts = {
  addresses: z.array(text(64)).max(64).optional().meta({ description: 'IP addresses' }),
  dnsNames: z.array(nameText).max(64).optional().meta({ description: 'DNS names beside its own name' }),
  labels: z
    .record(text(317), text(63, 0))
    .refine((labels) => Object.keys(labels).length <= 64, 'at most 64 labels')
    .optional(),
};

export const nodeDraftSchema = z
  .strictObject({ name: nameText, ...facts })
  .meta({ id: 'NodeDraft', description: 'A machine to enrol' });
const changeSchema = z
  .strictObject({
    ...facts,
    addAddresses: facts.addresses.meta({ description: 'IP addresses beside those that are enrolled' }),
    addDnsNames: facts.dnsNames.meta({ description: 'DNS names beside those that are enrolled' }),
    removeAddresses: facts.addresses.meta({ description: 'IP addresses that are no longer its own' }),
    removeDnsNames: facts.dnsNames.meta({ description: 'DNS names that are no longer its own' }),
  })
  .meta({
    id: 'NodeChange',
    description: 'What is given replaces what is enrolled, what is added stands beside it, what is removed goes',
  });
const listQuery = z.strictObject({
  ...pageQuery,
  state: z.enum(['expected', 'joined', 'disabled']).optional(),
  selector: z
    .string()
    .max(1024)
    .regex(/^[^\s,=]+(=[^\s,=]*)?(,[^\s,=]+(=[^\s,=]*)?)*$/, 'must be labels, key=value or key, separated by commas')
    .optional()
    .meta({ description: 'Labels that a node must have: `key=value` or `key`, separated by commas' }),
});
const params = z.strictObject({ node: nameText });

export type NodeView = z.output<typeof nodeSchema>;

export function nodeRoutes(app: RestApp, context: Context): void {
  collectionRoutes(app, context);
  objectRoutes(app, context);
  actionRoutes(app, context);
}

function collectionRoutes(app: RestApp, { nodes }: Context): void {
  app.get(
    '/nodes',
    {
      config: { access: { verb: 'list', resource: 'nodes' } },
      schema: {
        operationId: 'listNodes',
        summary: 'List nodes',
        tags: ['nodes'],
        querystring: listQuery,
        response: { 200: json('The nodes', pageOf(nodeSchema)), ...problems },
      },
    },
    async (request) => {
      const { selector, ...query } = request.query;
      const page = await nodes.list({ ...defined(query), ...matching(selector) });
      return defined({ items: await viewsOf(nodes, page.items), continue: page.continue });
    },
  );
  app.post(
    '/nodes',
    {
      config: { access: { verb: 'create', resource: 'nodes' } },
      schema: {
        operationId: 'createNode',
        summary: 'Enrol a node',
        tags: ['nodes'],
        body: nodeDraftSchema,
        response: { 201: json('Enrolled', nodeSchema), ...problems },
      },
    },
    async (request, reply) => {
      const node = await nodes.enrol(defined(request.body), request.identity);
      return reply
        .code(201)
        .header('location', `/pki/v1/nodes/${node.name}`)
        .send(await viewOf(nodes, node));
    },
  );
}

function objectRoutes(app: RestApp, { nodes }: Context): void {
  app.get(
    '/nodes/:node',
    {
      config: { access: { verb: 'get', resource: 'nodes', param: 'node' } },
      schema: {
        operationId: 'getNode',
        summary: 'Get one node',
        tags: ['nodes'],
        params,
        response: { 200: json('The node', nodeSchema), ...problems },
      },
    },
    async (request) => viewOf(nodes, await nodes.get(request.params.node)),
  );
  app.patch(
    '/nodes/:node',
    {
      config: { access: { verb: 'update', resource: 'nodes', param: 'node' } },
      schema: {
        operationId: 'updateNode',
        summary: 'Replace or add addresses and DNS names of a node, or replace its labels',
        tags: ['nodes'],
        params,
        body: changeSchema,
        response: { 200: json('Updated', nodeSchema), ...problems },
      },
    },
    async (request) => viewOf(nodes, await nodes.update(request.params.node, defined(request.body), request.identity)),
  );
  app.delete(
    '/nodes/:node',
    {
      config: { access: { verb: 'delete', resource: 'nodes', param: 'node' } },
      schema: {
        operationId: 'deleteNode',
        summary: 'Delete a node',
        tags: ['nodes'],
        params,
        response: { 204: z.undefined().describe('Deleted'), ...problems },
      },
    },
    async (request, reply) => {
      await nodes.delete(request.params.node, request.identity);
      return reply.code(204).send();
    },
  );
}

function actionRoutes(app: RestApp, { nodes }: Context): void {
  const act = (verb: string, summary: string) => ({
    config: { access: { verb: 'update', resource: 'nodes', subresource: verb, param: 'node' } },
    schema: {
      operationId: `${verb}Node`,
      summary,
      tags: ['nodes'],
      params,
      response: { 200: json('The node', nodeSchema), ...problems },
    },
  });
  const empty = z.strictObject({}).meta({ id: 'Empty', description: 'Nothing to say' });
  const disable = act('disable', 'Ban a node: its certificates and every renewal are refused at once');
  const body = z
    .strictObject({ reason: text(1024).optional() })
    .meta({ id: 'NodeDisable', description: 'Why the node is disabled, for the record' });
  app.post('/nodes/:node/disable', { ...disable, schema: { ...disable.schema, body } }, async (request) =>
    viewOf(nodes, await nodes.disable(request.params.node, { actor: request.identity, ...defined(request.body) })),
  );
  const enable = act('enable', 'Lift the ban of a node');
  app.post('/nodes/:node/enable', { ...enable, schema: { ...enable.schema, body: empty } }, async (request) =>
    viewOf(nodes, await nodes.enable(request.params.node, request.identity)),
  );
  const replace = act('replace', 'Expect a node again that is being rebuilt under its name');
  app.post('/nodes/:node/replace', { ...replace, schema: { ...replace.schema, body: empty } }, async (request) =>
    viewOf(nodes, await nodes.replace(request.params.node, request.identity)),
  );
}

async function viewOf(nodes: Nodes, node: Node): Promise<NodeView> {
  return viewWith(node, (await nodes.certificates([node.name])).get(node.name));
}

async function viewsOf(nodes: Nodes, page: readonly Node[]): Promise<NodeView[]> {
  const certificates = await nodes.certificates(page.map(({ name }) => name));
  return page.map((node) => viewWith(node, certificates.get(node.name)));
}

function viewWith(node: Node, certificate: NodeCertificate | undefined): NodeView {
  const { name, uid, state, addresses, dnsNames, labels, createdAt, createdBy, joinedAt, disabledAt } = node;
  return defined({
    name,
    uid,
    state,
    addresses: [...addresses],
    dnsNames: [...dnsNames],
    labels: { ...labels },
    createdAt: timeOf(createdAt),
    createdBy,
    joinedAt: optionalTime(joinedAt),
    disabledAt: optionalTime(disabledAt),
    certificate: certificate && { serial: certificate.serial, notAfter: timeOf(certificate.notAfter) },
  });
}

/** Labels that a node must have, `key=value` or `key`, all of them. */
function matching(selector: string | undefined): Pick<NodeFilter, 'matches'> {
  if (selector === undefined) return {};
  const wanted = selector.split(',').map((term) => {
    const at = term.indexOf('=');
    return at < 0 ? { key: term, value: undefined } : { key: term.slice(0, at), value: term.slice(at + 1) };
  });
  return {
    matches: ({ labels }) =>
      wanted.every(({ key, value }) => Object.hasOwn(labels, key) && (value === undefined || labels[key] === value)),
  };
}
