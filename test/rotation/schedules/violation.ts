/** What is thrown where an invariant does not hold. */
export function violated(name: string, what: string): Error {
  return new Error(`${name} is violated: ${what}`);
}
