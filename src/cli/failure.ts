/** Documented in docs/cli.md: people script against them. */
export const exitCodes = { ok: 0, local: 1, remote: 2, different: 3, interrupted: 130 } as const;

/** Why a command ends without doing what it was asked: for people, without a stack. */
export type Failure = Error & {
  readonly exitCode: number;
  readonly hints: readonly string[];
  readonly details: readonly string[];
  /** The server's problem details, where it sent some. */
  readonly problem?: Problem;
};

/** What a command may go by in problem details. */
export type Problem = { readonly code?: string; readonly bundle?: unknown };

type FailureOptions = {
  readonly hints?: readonly string[];
  readonly details?: readonly string[];
  readonly cause?: unknown;
  readonly problem?: Problem;
};

/** Wrong usage, or something on this machine. */
export function localFailure(message: string, options: FailureOptions = {}): Failure {
  return failure(message, exitCodes.local, options);
}

/** The server refused, or cannot be reached or trusted. */
export function remoteFailure(message: string, options: FailureOptions = {}): Failure {
  return failure(message, exitCodes.remote, options);
}

/** The answer is out already, and the exit code says that something is different: nothing is printed for it. */
export function foundDifferent(): Failure {
  return failure('', exitCodes.different, {});
}

function failure(message: string, exitCode: number, options: FailureOptions): Failure {
  const { hints = [], details = [], cause, problem } = options;
  const error = new Error(message, cause === undefined ? undefined : { cause });
  return Object.assign(error, { exitCode, hints, details, ...(problem === undefined ? {} : { problem }) });
}

export function isFailure(error: unknown): error is Failure {
  return error instanceof Error && 'exitCode' in error && 'hints' in error;
}

/**
 * What goes to standard error: an `error:` line, one more for each detail, a `hint:` line for each hint. No capital
 * first letters and no full stops.
 */
export function renderFailure(failed: Failure): string {
  if (failed.message === '') return '';
  const lines = [`error: ${failed.message}`, ...failed.details.map((detail) => `error: ${detail}`)];
  return [...lines, ...failed.hints.map((hint) => `hint: ${hint}`), ''].join('\n');
}
