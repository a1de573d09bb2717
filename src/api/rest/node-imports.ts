import { z } from 'zod';

import type { Context } from '../../context.js';
import type { ImportedNode } from '../../fleet/types.js';
import { requireAccess } from './access.js';
import type { RestApp } from './app.js';
import { nodeDraftSchema } from './nodes.js';
import { defined, fieldErrorSchema, json, problems } from './schemas.js';

/** Nodes of one call: its transaction stays short for everybody else. */
const mostNodes = 1000;
/** Bytes; a thousand nodes with a dozen labels each stay well below. */
const bodyLimit = 2 * 1024 * 1024;

const fact = z.enum(['addresses', 'dnsNames', 'labels']);
const importSchema = z
  .strictObject({
    nodes: z.array(nodeDraftSchema).min(1).max(mostNodes),
    existing: z.enum(['refuse', 'merge', 'replace']).default('refuse').meta({
      description:
        'A node that is enrolled with other facts is a conflict, or they are added to what is enrolled, or replace it. A fact that is left out is left alone',
    }),
    allowShared: z
      .boolean()
      .default(false)
      .meta({ description: 'Several nodes may have the same address or DNS name; a conflict otherwise' }),
    dryRun: z.boolean().default(false).meta({ description: 'Tell what would become of each, and change nothing' }),
  })
  .meta({ id: 'NodeImport', description: 'Machines to enrol together: all or none' });

const importedSchema = z
  .object({
    name: z.string(),
    outcome: z.enum(['created', 'updated', 'unchanged', 'conflict']),
    state: z.enum(['expected', 'joined', 'disabled']),
    changes: z.array(fact).meta({ description: 'What differs from what was enrolled' }),
    errors: z.array(fieldErrorSchema).meta({ description: 'Why it is a conflict' }),
  })
  .meta({ id: 'ImportedNode', description: 'What became, or would become, of one node' });
const resultSchema = z
  .object({ items: z.array(importedSchema) })
  .meta({ id: 'NodeImportResult', description: 'Each node, in the order of the import' });

export type ImportedNodeView = z.output<typeof importedSchema>;

export function nodeImportRoutes(app: RestApp, { nodes, authorize }: Context): void {
  app.post(
    '/node-imports',
    {
      bodyLimit,
      config: { access: { verb: 'create', resource: 'nodes' } },
      schema: {
        operationId: 'importNodes',
        summary: 'Enrol many nodes together, or tell what would become of them',
        tags: ['nodes'],
        body: importSchema,
        response: { 200: json('What became of each', resultSchema), ...problems },
      },
    },
    async (request) => {
      const { nodes: drafts, ...order } = request.body;
      if (order.existing !== 'refuse')
        requireAccess(authorize, request.identity, { verb: 'update', group: 'rotunda.dev', resource: 'nodes' });
      const imported = await nodes.import({ ...order, nodes: drafts.map(defined) }, request.identity);
      return { items: imported.map(viewOf) };
    },
  );
}

function viewOf({ name, outcome, state, changes, problems: causes }: ImportedNode): ImportedNodeView {
  const errors = causes.map(({ field, reason, message, hint }) => defined({ field, rule: reason, message, hint }));
  return { name, outcome, state, changes: [...changes], errors };
}
