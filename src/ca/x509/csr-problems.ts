import type { CsrProblem } from './types.js';

export type ProblemSink = {
  readonly problems: readonly CsrProblem[];
  add(field: string, rule: string, message: string): void;
};

/** One problem is enough to refuse; a request with thousands must not make an answer with thousands. */
const MAX_PROBLEMS = 16;

export function createProblemSink(): ProblemSink {
  const problems: CsrProblem[] = [];
  return {
    problems,
    add(field, rule, message) {
      if (problems.length < MAX_PROBLEMS) problems.push({ field, rule, message });
    },
  };
}
