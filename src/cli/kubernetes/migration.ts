import type { RequestView } from '../../api/rest/request-view.js';
import type { ClusterClient } from '../../attach/client.js';
import { requestsPath } from '../../attach/controllers.js';
import type { ClusterRequest } from '../../attach/types.js';
import type { Client } from '../client.js';
import { isFailure } from '../failure.js';

export type Imported = {
  readonly imported: readonly string[];
  /** Approved there by a person, and waiting for approval here. */
  readonly unapproved: readonly string[];
  readonly refused: readonly { readonly name: string; readonly why: string }[];
};

type Options = {
  readonly cluster: ClusterClient;
  readonly client: Client;
  readonly keepApprovals: boolean;
  readonly warn: (text: string) => void;
};

/** Reasons of approvals that no person gave: here the rules decide instead. */
const automatic = new Set(['AutoApproved']);

/** Requests without a decision, and those that were approved and never signed. */
export function isOpen({ status }: ClusterRequest): boolean {
  const types = new Set((status?.conditions ?? []).map(({ type }) => type));
  return (status?.certificate ?? '') === '' && !types.has('Denied') && !types.has('Failed');
}

/** Takes along what waits on the API server, with its name, uid and requester as they are there. */
export async function importPending({ cluster, client, keepApprovals, warn }: Options): Promise<Imported> {
  const { items } = await cluster.list<ClusterRequest>(requestsPath);
  const outcome = {
    imported: [] as string[],
    unapproved: [] as string[],
    refused: [] as { name: string; why: string }[],
  };
  for (const request of items.filter(isOpen)) {
    const { name } = request.metadata;
    const approval = request.status?.conditions?.find(({ type }) => type === 'Approved');
    const byPerson = approval !== undefined && !automatic.has(approval.reason ?? '');
    try {
      const { state } = await client.json<RequestView>('POST', '/requests/import', {
        body: bodyOf(request, approval, byPerson && keepApprovals),
      });
      outcome.imported.push(name);
      if (byPerson && (state === 'pending' || state === 'held')) outcome.unapproved.push(name);
    } catch (error) {
      if (!isFailure(error)) throw error;
      outcome.refused.push({ name, why: error.message });
    }
  }
  for (const name of outcome.unapproved)
    warn(`warning: ${name} was approved there and not signed; approve it here, or use --keep-approvals\n`);
  for (const { name, why } of outcome.refused) warn(`warning: ${name} was not taken along: ${why}\n`);
  return outcome;
}

function bodyOf(
  { metadata, spec }: ClusterRequest,
  approved: { readonly reason?: string; readonly message?: string } | undefined,
  approve: boolean,
): unknown {
  const { name, uid, labels, annotations, creationTimestamp } = metadata;
  const approval = approved && { reason: approved.reason ?? '', message: approved.message ?? '' };
  return { approval, metadata: { name, uid, labels, annotations, creationTimestamp }, spec, approve };
}
