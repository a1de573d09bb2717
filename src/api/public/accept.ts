type MediaRange = { readonly type: string; readonly subtype: string; readonly quality: number };

/** A request header long enough to be an attack is read up to here; real ones stay far below. */
const longestHeader = 2048;

function readRange(text: string): MediaRange | undefined {
  const [range = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const match = /^([^\s/]+)\/([^\s/]+)$/.exec(range);
  if (match === null) return undefined;
  const weight = parameters.find((parameter) => parameter.startsWith('q='));
  const quality = weight === undefined ? 1 : Number(weight.slice('q='.length));
  return { type: match[1] ?? '', subtype: match[2] ?? '', quality: quality >= 0 && quality <= 1 ? quality : 0 };
}

/** How closely a range names a media type: 3 exactly, 2 by type, 1 by wildcard, 0 not at all. */
function closeness(range: MediaRange, type: string, subtype: string): number {
  if (range.type === '*' && range.subtype === '*') return 1;
  if (range.type !== type) return 0;
  if (range.subtype === '*') return 2;
  return range.subtype === subtype ? 3 : 0;
}

/** The weight that the header gives to one media type: that of the range that names it most closely (RFC 9110, 12.5.1). */
function weightOf(ranges: readonly MediaRange[], offer: string): number {
  const [type = '', subtype = ''] = offer.split('/');
  let best = 0;
  let quality = 0;
  for (const range of ranges) {
    const found = closeness(range, type, subtype);
    if (found > best) {
      best = found;
      quality = range.quality;
    }
  }
  return quality;
}

/**
 * The offered media type that an Accept header prefers, earlier offers winning ties; undefined when it takes none of
 * them. No header, or one without a readable media range, takes the first offer.
 */
export function preferredType<T extends string>(accept: string | undefined, offers: readonly T[]): T | undefined {
  const ranges = (accept ?? '')
    .slice(0, longestHeader)
    .split(',')
    .map(readRange)
    .filter((range) => range !== undefined);
  if (ranges.length === 0) return offers[0];
  let preferred: T | undefined;
  let best = 0;
  for (const offer of offers) {
    const weight = weightOf(ranges, offer);
    if (weight > best) {
      best = weight;
      preferred = offer;
    }
  }
  return preferred;
}
