// Newer credentials without a reconnect, by `js/authentication-refresh.js`.
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import * as signalR from '@microsoft/signalr';
import { AuthenticationRefresh } from '../js/authentication-refresh.js';
import { everywhere, overWebSockets } from './support/conformance.mjs';
import { Mailbox } from './support/message-queue.mjs';
import { mint } from './support/tokens.mjs';

const PATH = '/hubs/refreshing';
const PATIENT = '6f9619ff-8b86-d011-b42d-00cf4fc964ff';
/** Long enough to start with on a busy machine; refreshed at half. */
const SHORT_S = 4;

const ann = { sub: 'ann', role: 'Nurse', department: 'icu' };

/** A started client whose token is what `tokens.next()` gives then. */
async function refreshing({ client }, tokens, { reconnect, via, headers, ...settings } = {}) {
  const refresh = new AuthenticationRefresh(signalR, { accessTokenFactory: () => tokens.next(), ...settings });
  const { hub, ...rest } = client(PATH, { reconnect, via, options: refresh.connectionOptions({ headers }) });
  refresh.attach(hub);
  const [refreshed, failed, heard] = ['refreshed', 'failed', 'heard'].map((name) => new Mailbox(name));
  refresh.onRefreshed((lifetime) => refreshed.push(lifetime));
  refresh.onRefreshFailed((error) => failed.push(error));
  hub.on('AuthenticationRefreshed', (extra) => heard.push(extra));
  await hub.start();
  return { ...rest, hub, refresh, refreshed, failed, heard };
}

everywhere('claims change in place', async (world) => {
  let token = mint(ann, { expiresIn: 600 });
  const { hub, refresh, refreshed, heard } = await refreshing(world, { next: () => token });
  const id = hub.connectionId;
  const order = () => hub.invoke('OrderMedication', PATIENT, 'aspirin');
  await assert.rejects(order(), /because user is unauthorized/);

  token = mint({ ...ann, role: 'Doctor', extra: 'new' }, { expiresIn: 1200 });
  const lifetime = await refresh.refresh();
  assert.ok(lifetime > 1100 && lifetime <= 1200, `${lifetime}`);
  assert.equal(await refreshed.next(), lifetime);
  assert.deepEqual(await hub.invoke('Claims', 'extra'), ['new']);
  assert.equal(await order(), 'aspirin ordered');
  assert.deepEqual(await heard.next(), ['new']);
  assert.equal(await hub.invoke('UserIdentifier'), 'ann');
  assert.equal(hub.connectionId, id);
});

everywhere('groups and messages to the user stay', async (world) => {
  const sub = world.unique('ann');
  const ward = world.unique('ward');
  let token = mint({ ...ann, sub, department: ward }, { expiresIn: 600 });
  const { hub, refresh } = await refreshing(world, { next: () => token });
  const got = new Mailbox('got');
  hub.on('WardUpdate', (_, text) => got.push(text));
  hub.on('Message', (text) => got.push(text));
  await hub.invoke('SubscribeToWard', ward);
  token = mint({ ...ann, sub, department: 'er' }, { expiresIn: 900 });
  await refresh.refresh();
  await hub.invoke('NotifyWard', ward, 'still in');
  assert.equal(await got.next(), 'still in');
  await hub.invoke('ToUser', sub, 'to ann');
  assert.equal(await got.next(), 'to ann');
});

everywhere('another user and a bad token are refused, and the connection lives on', async (world) => {
  const good = mint(ann, { expiresIn: 600 });
  let token = good;
  const { hub, refresh, refreshed, failed } = await refreshing(world, { next: () => token });
  for (const [bad, statusCode] of [[mint({ ...ann, sub: 'bob' }), 403], ['not.a.token', 401]]) {
    token = bad;
    await assert.rejects(refresh.refresh(), { statusCode });
    assert.equal((await failed.next()).statusCode, statusCode);
    assert.equal(await hub.invoke('UserIdentifier'), 'ann');
  }
  token = mint(ann, { expiresIn: 900 });
  await refresh.refresh();
  assert.ok((await refreshed.next()) > 800);
});

everywhere('a connection outlives several tokens by itself', async (world) => {
  let minted = 0;
  const next = () => mint({ ...ann, extra: String((minted += 1)) }, { expiresIn: SHORT_S });
  const { hub, refreshed, heard, failed } = await refreshing(world, { next });
  const id = hub.connectionId;
  for (let time = 0; time < 4; time += 1) {
    assert.ok((await refreshed.next()) <= SHORT_S);
    assert.deepEqual(await heard.next(), [String(minted)]);
    assert.deepEqual(await hub.invoke('Claims', 'extra'), [String(minted)]);
  }
  assert.equal(hub.connectionId, id);
  assert.equal(failed.size, 0);
});

everywhere('without a refresh the connection ends, and its successor is refreshed', async (world) => {
  let lifetime = SHORT_S;
  const next = () => mint(ann, { expiresIn: lifetime });
  const { hub, refresh, refreshed, reconnected } = await refreshing(
    world,
    { next },
    { enableAutoRefresh: false, reconnect: [0] },
  );
  const id = hub.connectionId;
  lifetime = 600;
  assert.notEqual((await reconnected.next()).id, id);
  lifetime = 900;
  assert.ok((await refresh.refresh()) > 800);
  assert.ok((await refreshed.next()) > 800);
  assert.equal(await hub.invoke('UserIdentifier'), 'ann');
});

overWebSockets('a token is refreshed five minutes before its end, or after half of its life', async (world) => {
  const waits = [];
  const original = globalThis.setTimeout;
  const timers = mock.method(globalThis, 'setTimeout', (callback, wait, ...rest) => {
    waits.push(wait);
    return original(callback, wait, ...rest);
  });
  try {
    for (const [expiresIn, from, to] of [[3600, 3280, 3300], [601, 281, 301], [600, 280, 300], [60, 20, 30]]) {
      waits.length = 0;
      const { hub } = await refreshing(world, { next: () => mint(ann, { expiresIn }) });
      assert.ok(waits.some((wait) => wait >= from * 1000 && wait <= to * 1000), `${expiresIn}: ${waits}`);
      await hub.stop();
    }
  } finally {
    timers.mock.restore();
  }
}, { alone: true });

overWebSockets('a refresh that does not reach the server is tried again', async (world) => {
  let refusals = 0;
  const next = () => {
    refusals -= 1;
    if (refusals >= 0) throw new Error('no token today');
    return mint(ann, { expiresIn: 2 * SHORT_S });
  };
  const { hub, refreshed, failed } = await refreshing(world, { next });
  refusals = 2;
  for (let time = 0; time < 2; time += 1) assert.match((await failed.next()).message, /no token today/);
  await refreshed.next();
  assert.equal(await hub.invoke('UserIdentifier'), 'ann');
});

overWebSockets('headers of the application go with a refresh, too', async (world) => {
  const between = await world.front();
  const settings = { via: between.url, headers: { 'X-Tenant': 'north' } };
  const { refresh } = await refreshing(world, { next: () => mint(ann) }, settings);
  await refresh.refresh();
  const { headers } = between.requests.find(({ method, url }) => method === 'POST' && url.endsWith('/refresh'));
  assert.equal(headers['x-tenant'], 'north');
});

overWebSockets('there is nothing to refresh where nothing is connected', async (world) => {
  const { hub, refresh, failed } = await refreshing(world, { next: () => mint(ann) });
  await hub.stop();
  await assert.rejects(refresh.refresh(), /no negotiated connection/);
  assert.match((await failed.next()).message, /no negotiated connection/);
});

/** What goes out when polls are answered by `refusals` first, and what comes of the one that was sent. */
async function poll(...refusals) {
  const sent = [];
  const ok = (content) => new signalR.HttpResponse(200, 'OK', content);
  class Server extends signalR.HttpClient {
    async send({ method, url, headers }) {
      const { pathname } = new URL(url);
      sent.push(`${method} ${pathname} ${headers.Authorization}`);
      if (pathname === '/hub/negotiate') return ok('{"connectionToken":"secret","tokenLifetimeSeconds":600}');
      if (pathname === '/hub/refresh') return ok('{"tokenLifetimeSeconds":600}');
      if (refusals.length > 0) throw refusals.shift();
      return ok('polled');
    }
  }
  const accessTokenFactory = (fresh) => (fresh ? 'new' : 'old');
  const refresh = new AuthenticationRefresh(signalR, { accessTokenFactory, httpClient: new Server() });
  const { httpClient } = refresh.connectionOptions();
  const headers = { Authorization: 'Bearer old' };
  await httpClient.send({ method: 'POST', url: 'http://test/hub/negotiate?negotiateVersion=1', headers });
  sent.length = 0;
  const polled = httpClient.send({ method: 'GET', url: 'http://test/hub?id=secret', headers });
  const outcome = await polled.then(({ content }) => content, (error) => error.statusCode);
  return { outcome, sent };
}

const expired = () => new signalR.HttpError('Unauthorized', 401);
const required = () => new signalR.HttpError('{"error":"authentication_refresh_required"}', 409);

test('a request that is refused with 401 is sent once more with a new token', async () => {
  const sent = ['GET /hub Bearer old', 'GET /hub Bearer new'];
  assert.deepEqual(await poll(expired()), { outcome: 'polled', sent });
  assert.deepEqual(await poll(expired(), expired()), { outcome: 401, sent });
});

test('a poll that asks for a refresh gets one, and is sent once more', async () => {
  const sent = ['GET /hub Bearer old', 'POST /hub/refresh Bearer new', 'GET /hub Bearer new'];
  assert.deepEqual(await poll(required()), { outcome: 'polled', sent });
  assert.deepEqual(await poll(required(), required()), { outcome: 409, sent });
  const other = new signalR.HttpError('Conflict', 409);
  assert.deepEqual(await poll(other), { outcome: 409, sent: ['GET /hub Bearer old'] });
});
