import type { Handler } from '../call.js';
import type { Target } from '../target.js';

/** The handler of a discovery path; undefined where there is none. */
export function discovery(_target: Target, _method: string): Handler | undefined {
  return undefined;
}
