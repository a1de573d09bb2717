import { explain } from './case.js';
import { textByName, update, verdictChange } from './change.js';
import { createCleaner } from './cleaner.js';
import { remove } from './delete.js';
import { partsOf, type RequestsOptions } from './parts.js';
import { list } from './read.js';
import { issueApproved } from './override.js';
import { reconsider } from './reconsider.js';
import { submit } from './submit.js';
import type { Requests, UpdateOptions } from './types.js';

/** The life of requests, wired to the rooms that it needs. */
export function createRequests(options: RequestsOptions): Requests {
  const parts = partsOf(options);
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
    submit: (identity, draft, submitOptions) => submit(parts, identity, draft, submitOptions),
    get: (name) => textByName(parts, name),
    list: (filter) => list(parts, filter),
    update: edit,
    decide: (name, verdict, { identity, ...text }) => {
      const approval: UpdateOptions = { endpoint: 'approval', identity };
      return edit(name, verdictChange(verdict, { identity, ...text }), approval);
    },
    delete: (name, deleteOptions) => remove(parts, name, deleteOptions),
    explain: (name) => explain(parts, name),
    reconsider: (scope) => reconsider(parts, scope ?? {}),
    cleaner: createCleaner(parts),
  });
}
