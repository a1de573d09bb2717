import { createSlots, type Slots } from '../limits/slots.js';
import { identityAs } from './asked-as.js';
import { textByName, update, verdictChange } from './change.js';
import { createCleaner } from './cleaner.js';
import { remove } from './delete.js';
import { explain, explainDraft } from './explain.js';
import { importRequest, mayRepeatApproval } from './import.js';
import { parseObject } from './object.js';
import { type Parts, partsOf, type RequestsOptions } from './parts.js';
import { createPastPruning } from './past-pruning.js';
import { list } from './read.js';
import { issueApproved } from './override.js';
import { lookAgain, reconsider } from './reconsider.js';
import { createReplay } from './replay.js';
import { submit } from './submit.js';
import type { Requests, Submitted, UpdateOptions } from './types.js';

const approvedThere = {
  reason: 'ImportedApproval',
  message: 'Approved by a person on the API server before the take-over.',
};

/** The life of requests, wired to the rooms that it needs. */
export function createRequests(options: RequestsOptions): Requests {
  const parts = partsOf(options);
  const slots = slotsOf(options);
  const edit: Requests['update'] = async (name, change, updateOptions) => {
    const { text, approved } = await update(parts, { name, change, options: updateOptions });
    // Signing follows the answer, as upstream's signer follows the approval.
    if (approved) {
      issueApproved(parts, name, updateOptions.identity).catch((error: unknown) => {
        parts.logger.error({ err: error, request: name }, 'an approved request could not be issued');
      });
    }
    return text;
  };
  return Object.freeze<Requests>({
    submit: async (identity, draft, submitOptions) => {
      await parts.renewals?.admit(identity);
      const submitted = await slots.run(() => submit(parts, identity, draft, submitOptions));
      if (submitOptions?.dryRun !== true) afterHold(parts, submitted);
      return submitted;
    },
    get: (name) => textByName(parts, name),
    list: (filter) => list(parts, filter),
    update: edit,
    decide: (name, verdict, { identity, ...text }) => {
      const approval: UpdateOptions = { endpoint: 'approval', identity };
      return edit(name, verdictChange(verdict, { identity, ...text }), approval);
    },
    import: async (imported, actor) => {
      const name = imported.metadata.name ?? '';
      if (await importRequest(parts, imported, actor)) await lookAgain(parts, name);
      const text = await textByName(parts, name);
      const { conditions = [], certificate } = parseObject(text).status;
      const isOpen = conditions.length === 0 && certificate === undefined;
      if (!imported.approve || !isOpen || !mayRepeatApproval(parts, imported)) return text;
      const change = verdictChange('Approved', { identity: actor, ...approvedThere });
      return edit(name, change, { endpoint: 'approval', identity: actor });
    },
    delete: (name, deleteOptions) => remove(parts, name, deleteOptions),
    explain: (name) => explain(parts, name),
    explainDraft: async (draft, as) => explainDraft(parts, 'kind' in as ? as : await identityAs(parts, as), draft),
    replay: createReplay(parts),
    prunePast: createPastPruning(parts),
    reconsider: (scope) => reconsider(parts, scope ?? {}),
    cleaner: createCleaner(parts),
  });
}

/** What was missing may have been enrolled between the look at the facts and the write: nobody would tell of it again. */
function afterHold(parts: Parts, { request, settled }: Submitted): void {
  settled
    .then(({ decision }) =>
      decision?.outcome === 'hold' && decision.retryAt !== undefined
        ? lookAgain(parts, request.metadata.name)
        : undefined,
    )
    .catch((error: unknown) => {
      parts.logger.warn({ err: error, request: request.metadata.name }, 'a held request could not be looked at again');
    });
}

/** Room for as many submissions as are configured; without limits each begins at once. */
function slotsOf({ limits, metrics }: RequestsOptions): Slots {
  return limits === undefined ? { run: (work) => work() } : createSlots({ limits: limits.signing, metrics });
}
