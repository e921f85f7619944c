// A web site that serves the browser's client, under host names that Chromium resolves to it.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { fileURLToPath } from 'node:url';

const PACKAGES = new URL('../../node_modules/@microsoft/', import.meta.url);
const PAGE = `<!doctype html><title>client</title>
<script src="/signalr/dist/browser/signalr.js"></script>
<script src="/signalr-protocol-msgpack/dist/browser/signalr-protocol-msgpack.js"></script>`;

/**
 * Serves the page on a free port until `close()`. With `flags` Chromium resolves each of `hosts` to
 * it.
 */
export async function startSite(hosts) {
  const server = http.createServer(async (request, response) => {
    if (request.url === '/') return response.writeHead(200, { 'content-type': 'text/html' }).end(PAGE);
    const script = /^\/[\w-]+\/dist\/browser\/[\w-]+\.js$/.exec(request.url);
    const file = script && (await readFile(fileURLToPath(new URL(`.${request.url}`, PACKAGES))).catch(() => null));
    if (!file) return response.writeHead(404).end();
    response.writeHead(200, { 'content-type': 'text/javascript' }).end(file);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const rules = hosts.map((host) => `MAP ${host}:80 127.0.0.1:${server.address().port}`);
  return {
    flags: [`--host-resolver-rules=${rules.join(',')}`],
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
