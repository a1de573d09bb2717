import { addToBuckets, dropBuckets, listBuckets } from '../../store/queries/renewals.js';
import type { Store } from '../../store/types.js';
import { type Book, createBook } from './book.js';

/** What is planned, in memory and in the database. */
export type BookKeeping = {
  readonly book: Pick<Book, 'bucketMs' | 'load' | 'mean' | 'add' | 'spread' | 'peak'>;
  /**
   * Writes what was planned since the last time, forgets what is past, and reads what other replicas have planned. To be
   * called now and then, and before the end; what was not written then is a plan that others know nothing of, no more.
   */
  keep(now: number): Promise<void>;
};

type Options = { readonly store: Store; readonly bucketMs: number; readonly horizonMs: number; readonly now: number };

/** Rows are for hours: a year has 8,760, and a kubelet's renewal is spread over days. */
const rowMs = 3_600_000;
/** Plans are looked at some hundred times between two sums; each takes as long as the signature of a certificate. */
const settleEvery = 256;
/** What adding fractions leaves. */
const rounding = 1e-6;
/** How often what others have planned is read. */
const refreshMs = 5 * 60_000;

/** Starts with what the database has. */
export async function createBookKeeping({ store, bucketMs, horizonMs, now }: Options): Promise<BookKeeping> {
  const empty = (size: number, at: number): Book => createBook({ bucketMs: size, horizonMs, now: at, settleEvery });
  const read = async (at: number): Promise<Book> => {
    const book = empty(bucketMs, at);
    for (const { start, planned } of await listBuckets(store.db, at - rowMs))
      book.spread(start, start + rowMs, planned);
    book.settle();
    return book;
  };
  let current = await read(now);
  /** What is in `current` and not in the database. */
  let unwritten = empty(rowMs, now);
  let isDirty = false;
  let readAt = now;

  const write = async (at: number): Promise<void> => {
    const written = unwritten;
    unwritten = empty(rowMs, at);
    isDirty = false;
    const rows = wholeRows(written, unwritten, at);
    try {
      await store.write(async (tx) => {
        await dropBuckets(tx.db, at - rowMs);
        await addToBuckets(tx.db, rows);
      });
    } catch (error) {
      for (const { start, planned } of rows) unwritten.spread(start, start + rowMs, planned);
      isDirty = true;
      throw error;
    }
  };
  const refresh = async (at: number): Promise<void> => {
    const fresh = await read(at);
    // Nothing was awaited since: what was planned while the rows were read is in here.
    unwritten.settle();
    eachRow(unwritten, at, (start, planned) => {
      fresh.spread(start, start + rowMs, planned);
    });
    fresh.settle();
    current = fresh;
    readAt = at;
  };
  return {
    book: bothOf(
      bucketMs,
      () => current,
      (change) => {
        change(current);
        change(unwritten);
        isDirty = true;
      },
    ),
    keep: async (at) => {
      current.advance(at);
      current.settle();
      if (isDirty) await write(at);
      // Alone, there is nobody to hear from.
      if (store.engine === 'postgres' && Math.abs(at - readAt) >= refreshMs) await refresh(at);
    },
  };
}

/** Reads one book, and writes several. */
function bothOf(
  bucketMs: number,
  read: () => Book,
  write: (change: (book: Book) => void) => void,
): BookKeeping['book'] {
  return {
    bucketMs,
    load: (bucket) => read().load(bucket),
    mean: (from, until) => read().mean(from, until),
    peak: () => read().peak(),
    add: (time, count) => {
      write((book) => {
        book.add(time, count);
      });
    },
    spread: (from, until, count) => {
      write((book) => {
        book.spread(from, until, count);
      });
    },
  };
}

function eachRow(book: Book, now: number, visit: (start: number, planned: number) => void): void {
  const end = Math.floor(book.horizon() / rowMs);
  for (let row = Math.floor(now / rowMs); row < end; row += 1) {
    const planned = book.load(row);
    if (planned > 0) visit(row * rowMs, planned);
  }
}

/** What of `book` makes whole renewals; the rest of each row goes into `rest`, until it is one. */
function wholeRows(book: Book, rest: Book, now: number): { start: number; planned: number }[] {
  const rows: { start: number; planned: number }[] = [];
  book.settle();
  eachRow(book, now, (start, planned) => {
    const whole = Math.floor(planned + rounding);
    if (whole > 0) rows.push({ start, planned: whole });
    if (planned - whole > rounding) rest.spread(start, start + rowMs, planned - whole);
  });
  rest.settle();
  return rows;
}
