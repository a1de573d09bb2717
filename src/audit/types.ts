import type { WriteTx } from '../store/types.js';

/** One fact for the record: who did what to which object, with what outcome. Never a secret. */
export type AuditEvent = {
  /** `<room>.<verb>`: request.submitted, request.approved, certificate.issued, token.created, node.disabled, … */
  readonly action: string;
  /** User name, `system:rotunda` for the service itself. */
  readonly actor: string;
  readonly resource: string;
  readonly name: string;
  readonly outcome: 'ok' | 'approved' | 'denied' | 'held' | 'failed';
  readonly detail: Readonly<Record<string, unknown>>;
  /** Milliseconds. */
  readonly at: number;
};

/** Writes the event in the transaction of what it tells, and to the log once committed. */
export type Audit = {
  record(tx: WriteTx, event: AuditEvent): Promise<void>;
};
