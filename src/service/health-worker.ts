/**
 * The program of the thread that answers probes. It is text, and plain JavaScript, so that it needs no loader and no file
 * of its own wherever this service is run from. It knows what the service last wrote on the board, and when: cell 0 is
 * the time of process.hrtime, the same for all threads, cell 1 is 1 while the service is ready.
 */
export const healthWorker = `
const { createServer } = require('node:http');
const { parentPort, workerData } = require('node:worker_threads');

const { host, port, stalledMs } = workerData;
const cells = new BigInt64Array(workerData.board);
const plain = { 'content-type': 'text/plain; charset=utf-8' };

function problems(path) {
  const age = Number(process.hrtime.bigint() - Atomics.load(cells, 0)) / 1e6;
  const failed = [];
  if (age > stalledMs) failed.push('event-loop failed: it has stood still for ' + Math.round(age / 1000) + ' s');
  if (path === '/readyz' && Atomics.load(cells, 1) !== 1n)
    failed.push('service failed: the store does not answer, or the service is shutting down');
  return failed;
}

const server = createServer((request, response) => {
  const path = request.url.split('?', 1)[0];
  if (!['/livez', '/healthz', '/readyz'].includes(path)) {
    response.writeHead(404, plain).end('404 page not found\\n');
    return;
  }
  const failed = problems(path);
  if (failed.length === 0) response.writeHead(200, plain).end('ok');
  else response.writeHead(500, plain).end(failed.map((one) => '[-]' + one + '\\n').join('') + path.slice(1) + ' check failed\\n');
});
server.maxConnections = 256;
server.requestTimeout = server.headersTimeout = 10000;
server.on('error', (error) => parentPort.postMessage({ error: error.message }));
server.listen(port, host, () => parentPort.postMessage({ port: server.address().port }));
`;
