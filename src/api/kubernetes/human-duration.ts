/** Milliseconds as kubectl prints ages: two units at most, the finer one only while the coarser is small. */
export function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (seconds < 120) return `${String(seconds)}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return pair(minutes, 'm', seconds % 60, 's');
  if (minutes < 180) return `${String(minutes)}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return pair(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return `${String(hours)}h`;
  const days = Math.floor(hours / 24);
  if (hours < 192) return pair(days, 'd', hours % 24, 'h');
  if (hours < 24 * 365 * 2) return `${String(days)}d`;
  const years = Math.floor(days / 365);
  if (hours < 24 * 365 * 8) return pair(years, 'y', days % 365, 'd');
  return `${String(years)}y`;
}

function pair(coarse: number, coarseUnit: string, fine: number, fineUnit: string): string {
  return fine === 0 ? `${String(coarse)}${coarseUnit}` : `${String(coarse)}${coarseUnit}${String(fine)}${fineUnit}`;
}

/** The Age of a table's row: the time from `created` (RFC 3339) to `now` (milliseconds). */
export function ageOf(created: string | undefined, now: number): string {
  const at = Date.parse(created ?? '');
  return Number.isNaN(at) ? '<unknown>' : humanDuration(now - at);
}
