import type { Book } from './book.js';
import { kubeletWindow } from './policy.js';
import type { Window } from './types.js';

/** A number from 0 to below 1. Injected: strong in the service, repeatable in a simulation. */
export type Draw = () => number;

/**
 * How many places are looked at before one is taken. In the steady state the fullest bucket has 1.40 times the mean with
 * one, 1.04 with two, 1.02 with four.
 */
const candidates = 4;

/**
 * The emptiest of four random buckets that lie in the window as a whole, as a window of its own. One that holds no whole
 * bucket is left as it is.
 */
export function chooseBucket(book: Pick<Book, 'bucketMs' | 'load'>, window: Window, draw: Draw): Window {
  const { bucketMs } = book;
  const first = Math.ceil(window.from / bucketMs);
  const count = Math.floor(window.until / bucketMs) - first;
  if (count < 1) return window;
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < candidates; i += 1) {
    const bucket = first + Math.floor(draw() * count);
    const load = book.load(bucket);
    if (load >= least) continue;
    least = load;
    best = bucket;
  }
  return { from: best * bucketMs, until: (best + 1) * bucketMs };
}

/** How long a certificate may live, milliseconds. */
export type LifeRange = { readonly shortest: number; readonly longest: number };

/** A life shorter by this ends its 70 to 90 % where that of the longer one begins. */
export const tiling = kubeletWindow.from / kubeletWindow.until;

/**
 * The life of a certificate whose holder draws its own time: of the longest, the one whose 70 to 90 % lie just before the
 * longest one's, and two random ones, that with the fewest renewals in it. With the first two alone a burst is spread evenly over 54
 * to 90 % of the longest life. With less room than that no choice helps: all lives from 78 % of it on have a time in
 * common, in which each renews as densely as if nothing were steered.
 */
export function chooseKubeletLife(
  book: Pick<Book, 'bucketMs' | 'mean'>,
  notBefore: number,
  { shortest, longest }: LifeRange,
  draw: Draw,
): number {
  const tile = Math.max(shortest, tiling * longest);
  let best = longest;
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < candidates; i += 1) {
    const life = i === 0 ? longest : i === 1 ? tile : shortest + draw() * (longest - shortest);
    const from = notBefore + kubeletWindow.from * life;
    const until = notBefore + kubeletWindow.until * life;
    // Its own renewal is spread over the same time, and thinner in a longer life.
    const load = book.mean(from, until) + book.bucketMs / (until - from) / 2;
    if (load >= least) continue;
    least = load;
    best = life;
  }
  return best;
}

/** The life of a certificate whose holder renews at one point of it: the one of four random ones that meets the emptiest bucket. */
export function chooseFixedLife(
  book: Pick<Book, 'bucketMs' | 'load'>,
  notBefore: number,
  at: number,
  { shortest, longest }: LifeRange,
  draw: Draw,
): number {
  let best = longest;
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < candidates; i += 1) {
    const life = shortest + draw() * (longest - shortest);
    const load = book.load(Math.floor((notBefore + at * life) / book.bucketMs));
    if (load >= least) continue;
    least = load;
    best = life;
  }
  return best;
}
