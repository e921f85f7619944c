// Authentication refresh: new credentials for an open connection, with
// `js/authentication-refresh.js`.
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import * as signalR from '@microsoft/signalr';
import { AuthenticationRefresh } from '../js/authentication-refresh.js';
import { eachTransport, overWebSockets } from './support/conformance.mjs';
import { MessageQueue } from './support/message-queue.mjs';
import { mint } from './support/tokens.mjs';

const PATH = '/hubs/refreshing';
const PATIENT = '6f9619ff-8b86-d011-b42d-00cf4fc964ff';
/** Token lifetime; long enough to connect on a busy machine. A refresh is due after half of it. */
const SHORT_LIFETIME_S = 4;

const ann = { sub: 'ann', role: 'Nurse', department: 'icu' };

/**
 * Returns a started client with authentication refresh, whose access token factory is
 * `tokens.next()`.
 */
async function connectWithRefresh({ client }, tokens, { reconnect, via, headers, ...settings } = {}) {
  const refresh = new AuthenticationRefresh(signalR, { accessTokenFactory: () => tokens.next(), ...settings });
  const { hub, ...rest } = client(PATH, { reconnect, via, options: refresh.connectionOptions({ headers }) });
  refresh.attach(hub);
  const [refreshed, failed, notified] = ['refreshed', 'failed', 'notified'].map((name) => new MessageQueue(name));
  refresh.onRefreshed((lifetime) => refreshed.push(lifetime));
  refresh.onRefreshFailed((error) => failed.push(error));
  hub.on('AuthenticationRefreshed', (extra) => notified.push(extra));
  await hub.start();
  return { ...rest, hub, refresh, refreshed, failed, notified };
}

eachTransport('a refresh changes the claims of an open connection', async (fixture) => {
  let token = mint(ann, { expiresIn: 600 });
  const { hub, refresh, refreshed, notified } = await connectWithRefresh(fixture, { next: () => token });
  const id = hub.connectionId;
  const order = () => hub.invoke('OrderMedication', PATIENT, 'aspirin');
  await assert.rejects(order(), /because user is unauthorized/);

  token = mint({ ...ann, role: 'Doctor', extra: 'new' }, { expiresIn: 1200 });
  const lifetime = await refresh.refresh();
  assert.ok(lifetime > 1100 && lifetime <= 1200, `${lifetime}`);
  assert.equal(await refreshed.next(), lifetime);
  assert.deepEqual(await hub.invoke('Claims', 'extra'), ['new']);
  assert.equal(await order(), 'aspirin ordered');
  assert.deepEqual(await notified.next(), ['new']);
  assert.equal(await hub.invoke('UserIdentifier'), 'ann');
  assert.equal(hub.connectionId, id);
});

eachTransport('a refreshed connection stays in its groups and receives messages to its user', async (fixture) => {
  const sub = fixture.unique('ann');
  const ward = fixture.unique('ward');
  let token = mint({ ...ann, sub, department: ward }, { expiresIn: 600 });
  const { hub, refresh } = await connectWithRefresh(fixture, { next: () => token });
  const received = new MessageQueue('received');
  hub.on('WardUpdate', (_, text) => received.push(text));
  hub.on('Message', (text) => received.push(text));
  await hub.invoke('SubscribeToWard', ward);
  token = mint({ ...ann, sub, department: 'er' }, { expiresIn: 900 });
  await refresh.refresh();
  await hub.invoke('NotifyWard', ward, 'still in');
  assert.equal(await received.next(), 'still in');
  await hub.invoke('ToUser', sub, 'to ann');
  assert.equal(await received.next(), 'to ann');
});

eachTransport('a failed refresh keeps the connection and its user', async (fixture) => {
  const good = mint(ann, { expiresIn: 600 });
  let token = good;
  const { hub, refresh, refreshed, failed } = await connectWithRefresh(fixture, { next: () => token });
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

eachTransport('tokens are refreshed automatically before they expire', async (fixture) => {
  let minted = 0;
  const next = () => mint({ ...ann, extra: String((minted += 1)) }, { expiresIn: SHORT_LIFETIME_S });
  const { hub, refreshed, notified, failed } = await connectWithRefresh(fixture, { next });
  const id = hub.connectionId;
  for (let time = 0; time < 4; time += 1) {
    assert.ok((await refreshed.next()) <= SHORT_LIFETIME_S);
    assert.deepEqual(await notified.next(), [String(minted)]);
    assert.deepEqual(await hub.invoke('Claims', 'extra'), [String(minted)]);
  }
  assert.equal(hub.connectionId, id);
  assert.equal(failed.size, 0);
});

eachTransport('without a refresh the connection closes, and the next connection can be refreshed', async (fixture) => {
  let lifetime = SHORT_LIFETIME_S;
  const next = () => mint(ann, { expiresIn: lifetime });
  const { hub, refresh, refreshed, reconnected } = await connectWithRefresh(
    fixture,
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

overWebSockets('a refresh is due 5 minutes before the token expires, or after half its lifetime', async (fixture) => {
  const waits = [];
  const original = globalThis.setTimeout;
  const timers = mock.method(globalThis, 'setTimeout', (callback, wait, ...rest) => {
    waits.push(wait);
    return original(callback, wait, ...rest);
  });
  try {
    for (const [expiresIn, from, to] of [[3600, 3280, 3300], [601, 281, 301], [600, 280, 300], [60, 20, 30]]) {
      waits.length = 0;
      const { hub } = await connectWithRefresh(fixture, { next: () => mint(ann, { expiresIn }) });
      assert.ok(waits.some((wait) => wait >= from * 1000 && wait <= to * 1000), `${expiresIn}: ${waits}`);
      await hub.stop();
    }
  } finally {
    timers.mock.restore();
  }
}, { exclusive: true });

overWebSockets('a refresh that does not reach the server is retried', async (fixture) => {
  let refusals = 0;
  const next = () => {
    refusals -= 1;
    if (refusals >= 0) throw new Error('no token today');
    return mint(ann, { expiresIn: 2 * SHORT_LIFETIME_S });
  };
  const { hub, refreshed, failed } = await connectWithRefresh(fixture, { next });
  refusals = 2;
  for (let time = 0; time < 2; time += 1) assert.match((await failed.next()).message, /no token today/);
  await refreshed.next();
  assert.equal(await hub.invoke('UserIdentifier'), 'ann');
});

overWebSockets('a refresh sends the headers of the application', async (fixture) => {
  const proxy = await fixture.httpProxy();
  const settings = { via: proxy.url, headers: { 'X-Tenant': 'north' } };
  const { refresh } = await connectWithRefresh(fixture, { next: () => mint(ann) }, settings);
  await refresh.refresh();
  const { headers } = proxy.requests.find(({ method, url }) => method === 'POST' && url.endsWith('/refresh'));
  assert.equal(headers['x-tenant'], 'north');
});

overWebSockets('a refresh without a connection fails', async (fixture) => {
  const { hub, refresh, failed } = await connectWithRefresh(fixture, { next: () => mint(ann) });
  await hub.stop();
  await assert.rejects(refresh.refresh(), /no negotiated connection/);
  assert.match((await failed.next()).message, /no negotiated connection/);
});

/**
 * Sends a poll to a server that rejects the first polls with `errors`. Returns the requests and the
 * outcome.
 */
async function poll(...errors) {
  const sent = [];
  const ok = (content) => new signalR.HttpResponse(200, 'OK', content);
  class Server extends signalR.HttpClient {
    async send({ method, url, headers }) {
      const { pathname } = new URL(url);
      sent.push(`${method} ${pathname} ${headers.Authorization}`);
      if (pathname === '/hub/negotiate') return ok('{"connectionToken":"secret","tokenLifetimeSeconds":600}');
      if (pathname === '/hub/refresh') return ok('{"tokenLifetimeSeconds":600}');
      if (errors.length > 0) throw errors.shift();
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

const unauthorized = () => new signalR.HttpError('Unauthorized', 401);
const refreshRequired = () => new signalR.HttpError('{"error":"authentication_refresh_required"}', 409);

test('a request that fails with 401 is repeated once with a new token', async () => {
  const sent = ['GET /hub Bearer old', 'GET /hub Bearer new'];
  assert.deepEqual(await poll(unauthorized()), { outcome: 'polled', sent });
  assert.deepEqual(await poll(unauthorized(), unauthorized()), { outcome: 401, sent });
});

test('a poll that fails with 409 is repeated once after a refresh', async () => {
  const sent = ['GET /hub Bearer old', 'POST /hub/refresh Bearer new', 'GET /hub Bearer new'];
  assert.deepEqual(await poll(refreshRequired()), { outcome: 'polled', sent });
  assert.deepEqual(await poll(refreshRequired(), refreshRequired()), { outcome: 409, sent });
  const other = new signalR.HttpError('Conflict', 409);
  assert.deepEqual(await poll(other), { outcome: 409, sent: ['GET /hub Bearer old'] });
});
