/** A program and its version, as a consumer states them. */
export type Software = { readonly name: string; readonly version: readonly number[] };

/** Reads `kubelet 1.36.3`, `kube-apiserver/v1.36.3+build` or `client-go v0.36`; undefined where there is no version. */
export function readSoftware(text: string): Software | undefined {
  const match = /^(.+?)[\s/]+v?(\d+(?:\.\d+){0,2})(?:[-+.].*)?$/.exec(text.trim());
  const [, name, numbers] = match ?? [];
  if (name === undefined || numbers === undefined) return undefined;
  const version = numbers.split('.').map(Number);
  // Kubernetes' libraries are numbered 0.N where Kubernetes is 1.N.
  const library = name === 'client-go' || name === 'k8s.io/apiserver';
  return { name, version: library && version[0] === 0 ? [1, ...version.slice(1)] : version };
}

/** Whether a version is in a range: `>=1.36`, `<1.36`, or undefined for every version. Throws Error for another range. */
export function fits(version: readonly number[], range: string | undefined): boolean {
  if (range === undefined) return true;
  const match = /^(>=|<)(\d+(?:\.\d+){0,2})$/.exec(range);
  const [, operator, bound] = match ?? [];
  if (bound === undefined) throw new Error(`${range} is not a range of versions`);
  const order = compare(version, bound.split('.').map(Number));
  return operator === '<' ? order < 0 : order >= 0;
}

function compare(one: readonly number[], other: readonly number[]): number {
  for (let index = 0; index < Math.max(one.length, other.length); index += 1) {
    const difference = (one[index] ?? 0) - (other[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
