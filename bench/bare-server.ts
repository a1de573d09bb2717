import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';

// Node's own HTTPS server with the TLS settings of the service and an answer of two bytes: what nothing can be cheaper than.
const [pem = '', ca = ''] = process.argv.slice(2);
const own = readFileSync(pem, 'utf8');
const options = { cert: own, key: own, ca: readFileSync(ca, 'utf8'), requestCert: true, rejectUnauthorized: false };
const server = createServer(options, (request, response) => {
  request.resume().on('end', () => response.end('ok'));
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${String((server.address() as AddressInfo).port)}\n`);
});
