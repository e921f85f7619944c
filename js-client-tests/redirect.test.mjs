// A front that answers negotiation with the address of the server and a token for it, as a service before hubs does.
import assert from 'node:assert/strict';
import { everywhere } from './support/conformance.mjs';
import { Kind } from './support/http-proxy.mjs';
import { doctor, mint, nurse } from './support/tokens.mjs';

const bearer = ({ headers }) => headers.authorization?.replace(/^Bearer /, '');

/** A rule that sends who negotiates at `/front` to `url`, with the token that `token` gives. */
function redirecting(url, token) {
  return (request) => {
    if (request.kind !== Kind.negotiate || !request.url.startsWith('/front/')) return undefined;
    const headers = { 'content-type': 'application/json' };
    return { status: 200, headers, body: JSON.stringify({ url: url(), accessToken: token() }) };
  };
}

everywhere('a redirected client connects where it is sent, as whom it is told', async (world) => {
  const { connect, front, transport, url } = world;
  const between = await front();
  between.rule = redirecting(() => `${between.url}/hubs/clinical?ward=icu`, () => given);
  const [own, given] = [mint(nurse), mint(doctor)];
  const client = await connect('/front', { via: between.url, token: own });
  assert.equal(await client.invoke('UserIdentifier'), 'doctor-1');
  assert.equal(await client.invoke('Transport'), transport);
  assert.equal(await client.invoke('Query', 'ward'), 'icu');
  assert.equal(await client.invoke('ConnectionId'), client.id);
  assert.notEqual(url, between.url);

  // Its own token goes to the front alone, and the other one to the server alone.
  const [first, ...rest] = between.requests;
  assert.equal(bearer(first), own);
  assert.ok(rest.length >= 2);
  for (const request of rest) {
    assert.ok(!request.url.startsWith('/front'));
    const inQuery = new URL(request.url, between.url).searchParams.get('access_token');
    assert.equal(bearer(request) ?? inQuery, given, request.kind);
  }
});

everywhere('a redirected client without a token of its own is let in by the one it was given', async (world) => {
  const { client, connect, front } = world;
  const between = await front();
  let given;
  between.rule = redirecting(() => `${world.url}/hubs/clinical`, () => given);
  await assert.rejects(client('/front', { via: between.url }).start(), {
    message: "Failed to complete negotiation with the server: Error: Unauthorized: Status code '401'",
  });
  given = mint(nurse);
  const admitted = await connect('/front', { via: between.url });
  assert.equal(await admitted.invoke('UserIdentifier'), 'nurse-1');
});

everywhere('every reconnect begins at the front again and may end elsewhere', async (world) => {
  const { connect, front, transport, proxy } = world;
  const [between, server] = [await front(), await proxy()];
  let serial = 0;
  const path = () => (serial === 0 ? '/hubs/clinical' : '/hubs/mixed');
  const token = () => mint({ ...nurse, serial: `token ${(serial += 1)}` });
  between.rule = redirecting(() => `${server.url}${path()}`, token);
  const client = await connect('/front', { via: between.url, reconnect: [0, 20, 50, 100] });
  assert.deepEqual(await client.invoke('Claims', 'serial'), ['token 1']);
  server.cut();
  await client.reconnected.next();
  assert.deepEqual(await client.invoke('Claims', 'serial'), [`token ${serial}`]);
  assert.equal(await client.invoke('Transport'), transport);
  assert.equal(await client.invoke('MembersOnly'), 'member');
});

everywhere('a client follows redirects of redirects, but not for ever', async ({ client, connect, front, url }) => {
  const between = await front();
  let left = 5;
  const next = () => ((left -= 1) > 0 ? `${between.url}/front/${left}` : `${url}/hubs/clinical`);
  between.rule = redirecting(next, () => mint(nurse));
  const led = await connect('/front', { via: between.url });
  assert.equal(await led.invoke('UserIdentifier'), 'nurse-1');
  assert.equal(between.count(Kind.negotiate), 5);

  left = Infinity;
  await assert.rejects(client('/front', { via: between.url }).start(), {
    message: 'Negotiate redirection limit exceeded.',
  });
});

// A path that only our own server has.
if (!process.env.SERVER) {
  everywhere('the server sends its clients elsewhere by itself', async ({ connect, transport }) => {
    const client = await connect(`/front?token=${mint(doctor)}`);
    assert.equal(await client.invoke('UserIdentifier'), 'doctor-1');
    assert.equal(await client.invoke('Transport'), transport);
  });
}
