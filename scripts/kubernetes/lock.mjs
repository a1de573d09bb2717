import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

const POLL_MS = 1000;

/**
 * Runs `work` while no other process holds `file`. Whoever holds it is named by its process id in it; a lock whose
 * process is gone is taken over. Rejects when the lock was not to be had within `timeoutMs`. Two that take over at the
 * same moment may both get it: the lock saves work, and the work must bear being done twice.
 */
export async function withLock({ file, timeoutMs, log }, work) {
  mkdirSync(dirname(file), { recursive: true });
  const deadline = Date.now() + timeoutMs;
  for (let waited = false; !take(file); waited = true) {
    if (!waited) log(`waiting for process ${holder(file) ?? '?'}, which is building`);
    if (Date.now() > deadline) throw new Error(`${file} is held by process ${holder(file) ?? '?'}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
}

/** The file appears with its content, by a link: nobody sees it empty. */
function take(file) {
  const own = `${file}.${process.pid}`;
  writeFileSync(own, String(process.pid));
  try {
    const current = holder(file);
    if (current !== undefined && !alive(current)) rmSync(file, { force: true });
    linkSync(own, file);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(own, { force: true });
  }
}

function holder(file) {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}
