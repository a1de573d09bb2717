let lastSecond = NaN;
let lastText = '';

/** Milliseconds as Kubernetes writes times: RFC 3339, UTC, whole seconds. */
export function rfc3339(ms: number): string {
  const second = wholeSeconds(ms);
  // A busy second is written thousands of times.
  if (second === lastSecond) return lastText;
  lastSecond = second;
  lastText = `${new Date(second).toISOString().slice(0, 19)}Z`;
  return lastText;
}

/** The time at its second's beginning. */
export function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000;
}
