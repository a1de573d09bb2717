import { tooMany } from './too-many.js';

/** Calls that are being answered, by caller. */
export type OpenCalls = {
  /** Takes a place until what is returned is called. Throws 'too-many-requests' where this caller has as many as it may. */
  enter(caller: string): () => void;
};

const retryAfterMs = 1000;

/** At most `most` at once of each caller. */
export function createOpenCalls(most: number): OpenCalls {
  const open = new Map<string, number>();
  return {
    enter: (caller) => {
      const before = open.get(caller) ?? 0;
      if (before >= most) throw tooMany(`this caller has ${String(most)} such calls running already`, retryAfterMs);
      open.set(caller, before + 1);
      let left = false;
      return () => {
        if (left) return;
        left = true;
        const now = (open.get(caller) ?? 1) - 1;
        if (now === 0) open.delete(caller);
        else open.set(caller, now);
      };
    },
  };
}
