/** Milliseconds as Kubernetes writes times: RFC 3339, UTC, whole seconds. */
export function rfc3339(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** The time at its second's beginning. */
export function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000;
}
