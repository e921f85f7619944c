// Negotiate redirects: a frontend answers negotiate with the URL of the server and an access token
// for it, as the Azure SignalR Service does.
import assert from 'node:assert/strict';
import { eachTransport } from './support/conformance.mjs';
import { RequestKind } from './support/http-proxy.mjs';
import { doctor, mint, nurse } from './support/tokens.mjs';

const bearer = ({ headers }) => headers.authorization?.replace(/^Bearer /, '');

/**
 * A proxy rule that redirects negotiate requests below `/front` to `url()` with the access token
 * `token()`.
 */
function redirecting(url, token) {
  return (request) => {
    if (request.kind !== RequestKind.negotiate || !request.url.startsWith('/front/')) return undefined;
    const headers = { 'content-type': 'application/json' };
    return { status: 200, headers, body: JSON.stringify({ url: url(), accessToken: token() }) };
  };
}

eachTransport('a redirected client connects to the given URL with the given token', async (fixture) => {
  const { connect, httpProxy, transport, url } = fixture;
  const proxy = await httpProxy();
  proxy.rule = redirecting(() => `${proxy.url}/hubs/clinical?ward=icu`, () => given);
  const [own, given] = [mint(nurse), mint(doctor)];
  const client = await connect('/front', { via: proxy.url, token: own });
  assert.equal(await client.invoke('UserIdentifier'), 'doctor-1');
  assert.equal(await client.invoke('Transport'), transport);
  assert.equal(await client.invoke('Query', 'ward'), 'icu');
  assert.equal(await client.invoke('ConnectionId'), client.id);
  assert.notEqual(url, proxy.url);

  // The client sends its first token to the frontend only, and the given token to the server only.
  const [first, ...rest] = proxy.requests;
  assert.equal(bearer(first), own);
  assert.ok(rest.length >= 2);
  for (const request of rest) {
    assert.ok(!request.url.startsWith('/front'));
    const inQuery = new URL(request.url, proxy.url).searchParams.get('access_token');
    assert.equal(bearer(request) ?? inQuery, given, request.kind);
  }
});

eachTransport('a redirected client without a token is authenticated by the given one', async (fixture) => {
  const { client, connect, httpProxy } = fixture;
  const proxy = await httpProxy();
  let given;
  proxy.rule = redirecting(() => `${fixture.url}/hubs/clinical`, () => given);
  await assert.rejects(client('/front', { via: proxy.url }).start(), {
    message: "Failed to complete negotiation with the server: Error: Unauthorized: Status code '401'",
  });
  given = mint(nurse);
  const admitted = await connect('/front', { via: proxy.url });
  assert.equal(await admitted.invoke('UserIdentifier'), 'nurse-1');
});

eachTransport('a reconnect starts at the frontend and may be redirected to another URL', async (fixture) => {
  const { connect, httpProxy, transport, tcpProxy } = fixture;
  const [proxy, server] = [await httpProxy(), await tcpProxy()];
  let serial = 0;
  const path = () => (serial === 0 ? '/hubs/clinical' : '/hubs/mixed');
  const token = () => mint({ ...nurse, serial: `token ${(serial += 1)}` });
  proxy.rule = redirecting(() => `${server.url}${path()}`, token);
  const client = await connect('/front', { via: proxy.url, reconnect: [0, 20, 50, 100] });
  assert.deepEqual(await client.invoke('Claims', 'serial'), ['token 1']);
  server.cut();
  await client.reconnected.next();
  assert.deepEqual(await client.invoke('Claims', 'serial'), [`token ${serial}`]);
  assert.equal(await client.invoke('Transport'), transport);
  assert.equal(await client.invoke('MembersOnly'), 'member');
});

eachTransport('a client follows a limited number of redirects', async ({ client, connect, httpProxy, url }) => {
  const proxy = await httpProxy();
  let left = 5;
  const next = () => ((left -= 1) > 0 ? `${proxy.url}/front/${left}` : `${url}/hubs/clinical`);
  proxy.rule = redirecting(next, () => mint(nurse));
  const redirected = await connect('/front', { via: proxy.url });
  assert.equal(await redirected.invoke('UserIdentifier'), 'nurse-1');
  assert.equal(proxy.count(RequestKind.negotiate), 5);

  left = Infinity;
  await assert.rejects(client('/front', { via: proxy.url }).start(), {
    message: 'Negotiate redirection limit exceeded.',
  });
});

// Other conformance servers have no such endpoint.
if (!process.env.SERVER) {
  eachTransport('a server can redirect negotiate requests itself', async ({ connect, transport }) => {
    const client = await connect(`/front?token=${mint(doctor)}`);
    assert.equal(await client.invoke('UserIdentifier'), 'doctor-1');
    assert.equal(await client.invoke('Transport'), transport);
  });
}
