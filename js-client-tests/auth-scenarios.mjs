// Scenarios of authentication and authorization in applications, from the transport of the token to
// the server's log. `auth-scenarios.test.mjs` runs them in Node, `browser/auth-scenarios.test.mjs`
// in Chromium.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HubConnectionState } from '@microsoft/signalr';
import { eachProtocol, eachTransport, server } from './support/conformance.mjs';
import { RequestKind } from './support/http-proxy.mjs';
import { combinations } from './support/matrix.mjs';
import { admin, doctor, mint, minted, nurse } from './support/tokens.mjs';

// The last test reads the server's whole log.
process.env.RUST_LOG = 'trace';
process.env.NO_COLOR = '1';

/** Token lifetime; long enough to connect on a busy machine. */
const SHORT_LIFETIME_S = 4;
const SHORT_DELAYS = [0, 20, 50, 100, 200];
const PATIENT = '6f9619ff-8b86-d011-b42d-00cf4fc964ff';

const CLAIMS = 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims';
const NAME_IDENTIFIER = `${CLAIMS}/nameidentifier`;
const ROLE = 'http://schemas.microsoft.com/ws/2008/06/identity/claims/role';

const negotiateFailed = (reason) => ({ message: `Failed to complete negotiation with the server: Error: ${reason}` });
const UNAUTHORIZED = negotiateFailed("Unauthorized: Status code '401'");
const FORBIDDEN = negotiateFailed("Forbidden: Status code '403'");
const unauthorized = (method) => ({ message: `Failed to invoke '${method}' because user is unauthorized` });
const WARD_DENIED = {
  message:
    "An unexpected error occurred invoking 'SubscribeToWard' on the server. " +
    'HubException: Access to this ward requires matching department assignment.',
};

/** Connection tokens of some connections. */
const connectionTokens = [];

const queryOf = (url) => new URL(url, 'http://server').searchParams;
const withoutToken = (url) => url.replace(/([?&])access_token=[^&]*&?/, '$1').replace(/[?&]$/, '');

/** Returns the user of a client's connection as the hub sees it. */
async function userOf(client) {
  const claims = ['iss', 'aud', 'exp', 'department', NAME_IDENTIFIER, ROLE];
  const [isAuthenticated, id, name] = [
    await client.invoke('IsAuthenticated'),
    await client.invoke('UserIdentifier'),
    await client.invoke('UserName'),
  ];
  const values = [];
  for (const claim of claims) values.push(await client.invoke('Claims', claim));
  return { isAuthenticated, id, name, claims: values };
}

/** Declares all scenarios, with clients of the class `fixture`. */
export function authScenarios(fixture) {
  const scenario = (name, body, options) => eachTransport(name, body, { ...options, fixture });
  const withAnyTransport = (name, body) => eachProtocol(name, body, { fixture });

  // The WebSocket JWT challenge

  scenario('the token is in the Authorization header, or in the query where headers cannot be set', async (run) => {
    const { connect, httpProxy, transport, tokenInQuery } = run;
    const proxy = await httpProxy();
    const token = mint(nurse);
    const client = await connect('/hubs/clinical', { via: proxy.url, token });
    assert.equal(await client.invoke('UserIdentifier'), 'nurse-1');
    await client.hub.stop();

    const requests = proxy.requests.filter(({ kind }) => kind !== RequestKind.preflight);
    const expected = {
      WebSockets: [RequestKind.negotiate, RequestKind.webSocket],
      ServerSentEvents: [RequestKind.negotiate, RequestKind.events, RequestKind.send],
      LongPolling: [RequestKind.negotiate, RequestKind.poll, RequestKind.send, RequestKind.delete],
    };
    assert.deepEqual(new Set(requests.map(({ kind }) => kind)), new Set(expected[transport]));
    for (const { kind, url, headers } of requests) {
      const inQuery = tokenInQuery.includes(kind);
      assert.equal(queryOf(url).get('access_token'), inQuery ? token : null, kind);
      assert.equal(headers.authorization, inQuery ? undefined : `Bearer ${token}`, kind);
      if (kind !== RequestKind.negotiate) connectionTokens.push(queryOf(url).get('id'));
    }
  });

  // JWT configuration for SignalR

  scenario('the server validates issuer, audience, lifetime and signing key of a token', async ({ client }) => {
    const tokens = {
      'not a token': 'junk',
      expired: mint(nurse, { expiresIn: -400 }),
      'signed with another key': mint(nurse, { key: 'another-key-that-is-32-bytes-or-longer-0123456789' }),
      'for another audience': mint(nurse, { audience: 'another-audience' }),
      'from another issuer': mint(nurse, { issuer: 'https://another.test' }),
      'changed after signing': mint(nurse).replace(/\.[^.]+\./, `.${mint(admin).split('.')[1]}.`),
    };
    for (const [problem, token] of Object.entries(tokens)) {
      await assert.rejects(client('/hubs/clinical', { token }).start(), UNAUTHORIZED, problem);
    }
  });

  scenario('the server reads a token in the query on hub paths only', async ({ connect }) => {
    const authenticated = await connect(`/hubs/mixed?access_token=${mint(nurse)}`);
    assert.equal(await authenticated.invoke('UserIdentifier'), 'nurse-1');
    assert.equal(await authenticated.invoke('MembersOnly'), 'member');
    const anonymous = await connect(`/mixed-elsewhere?access_token=${mint(nurse)}`);
    assert.equal(await anonymous.invoke('IsAuthenticated'), false);
    await assert.rejects(anonymous.invoke('MembersOnly'), unauthorized('MembersOnly'));
  });

  scenario('a token in the query takes precedence over the Authorization header', async ({ client, connect }) => {
    const both = await connect(`/hubs/clinical?access_token=${mint(doctor)}`, { token: mint(nurse) });
    assert.equal(await both.invoke('UserIdentifier'), 'doctor-1');
    await assert.rejects(client('/hubs/clinical?access_token=junk', { token: mint(nurse) }).start(), UNAUTHORIZED);
    const empty = await connect('/hubs/clinical?access_token=', { token: mint(nurse) });
    assert.equal(await empty.invoke('UserIdentifier'), 'nurse-1');
  }, { transports: ['LongPolling'] });

  // Hub authorization

  scenario('[Authorize] on a hub rejects requests without a token with 401', async ({ client, connect }) => {
    await assert.rejects(client('/hubs/clinical').start(), UNAUTHORIZED);
    const authenticated = await connect('/hubs/clinical', { token: mint(nurse) });
    assert.equal(await authenticated.invoke('IsAuthenticated'), true);
  });

  scenario('[Authorize(Policy)] on a method applies in addition to the hub', async ({ connect }) => {
    const aNurse = await connect('/hubs/clinical', { token: mint(nurse) });
    const aDoctor = await connect('/hubs/clinical', { token: mint(doctor) });
    const anAdmin = await connect('/hubs/clinical', { token: mint(admin) });
    assert.equal(await aDoctor.invoke('OrderMedication', PATIENT, 'aspirin'), 'aspirin ordered');
    await assert.rejects(aNurse.invoke('OrderMedication', PATIENT, 'aspirin'), unauthorized('OrderMedication'));
    await assert.rejects(aNurse.invoke('ordermedication', PATIENT, 'aspirin'), unauthorized('OrderMedication'));
    await assert.rejects(anAdmin.invoke('OrderMedication', PATIENT, 'aspirin'), unauthorized('OrderMedication'));
    for (const clinical of [aNurse, aDoctor]) assert.equal(await clinical.invoke('ClinicalOnly'), 'clinical');
    await assert.rejects(anAdmin.invoke('ClinicalOnly'), unauthorized('ClinicalOnly'));
    // The connection stays open.
    assert.equal(await aNurse.invoke('Echo', 'still here'), 'still here');
  });

  scenario('RequireAuthorization with a policy rejects other users with 403', async ({ client, connect }) => {
    await assert.rejects(client('/hubs/policy', { token: mint(doctor) }).start(), FORBIDDEN);
    await assert.rejects(client('/hubs/policy').start(), UNAUTHORIZED);
    const allowed = await connect('/hubs/policy', { token: mint(nurse) });
    assert.equal(await allowed.invoke('Echo', 'in'), 'in');
  });

  // JavaScript client: sending the token

  scenario('accessTokenFactory is called for each connection, and the server receives the new token', async (run) => {
    const { connect, httpProxy, transport } = run;
    let calls = 0;
    const next = () => mint({ ...nurse, serial: `token ${(calls += 1)}` });
    // The client calls it for negotiate, and once more for a WebSocket.
    const perStart = transport === 'WebSockets' ? 2 : 1;
    for (const token of [next, async () => next()]) {
      calls = 0;
      const proxy = await httpProxy();
      const client = await connect('/hubs/clinical', { token, via: proxy.url, reconnect: SHORT_DELAYS });
      assert.equal(calls, perStart);
      assert.deepEqual(await client.invoke('Claims', 'serial'), [`token ${perStart}`]);
      await proxy.disconnect(transport);
      await client.reconnected.next();
      assert.equal(calls, 2 * perStart);
      assert.deepEqual(await client.invoke('Claims', 'serial'), [`token ${2 * perStart}`]);
    }
  });

  for (const [delays, reconnect] of [['[0, 2000, 10000, 30000]', [0, 2000, 10000, 30000]], ['', true]]) {
    scenario(`withAutomaticReconnect(${delays}) tries at once, and again after two seconds`, async (run) => {
      const { connect, httpProxy, transport } = run;
      const proxy = await httpProxy();
      const client = await connect('/hubs/clinical', { token: mint(nurse), via: proxy.url, reconnect });
      const first = client.id;
      await proxy.disconnect(transport);
      const { rule } = proxy;
      const attempts = [];
      proxy.rule = (request) => {
        if (request.kind !== RequestKind.negotiate) return rule(request);
        return attempts.push(performance.now()) === 1 ? { status: 503 } : undefined;
      };
      const { id } = await client.reconnected.next();
      assert.notEqual(id, first);
      assert.equal(attempts.length, 2);
      // Timers may fire a little early.
      const delay = attempts[1] - attempts[0];
      assert.ok(delay > 1_990, `second attempt after ${delay} ms`);
    });
  }

  // Token refresh for long-lived connections

  scenario('accessTokenFactory can refresh a token before it expires', async ({ connect, httpProxy, transport }) => {
    let refreshed = 0;
    const refreshToken = async () => mint({ ...nurse, serial: `refreshed ${(refreshed += 1)}` });
    const isTokenExpiringSoon = (token) =>
      JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).exp - Date.now() / 1000 < 60;
    let accessToken = mint({ ...nurse, serial: 'first' });
    const token = async () => {
      if (isTokenExpiringSoon(accessToken)) accessToken = await refreshToken();
      return accessToken;
    };
    const proxy = await httpProxy();
    const client = await connect('/hubs/clinical', { token, via: proxy.url, reconnect: SHORT_DELAYS });
    assert.deepEqual(await client.invoke('Claims', 'serial'), ['first']);
    await proxy.disconnect(transport);
    await client.reconnected.next();
    assert.deepEqual(await client.invoke('Claims', 'serial'), ['first']);
    accessToken = mint({ ...nurse, serial: 'old' }, { expiresIn: 30 });
    await proxy.disconnect(transport);
    await client.reconnected.next();
    assert.deepEqual(await client.invoke('Claims', 'serial'), ['refreshed 1']);
    assert.equal(refreshed, 1);
  });

  scenario('a connection whose token expires reconnects with a new token', async ({ connect }) => {
    let lifetime = SHORT_LIFETIME_S;
    const token = async () => mint(nurse, { expiresIn: lifetime });
    const client = await connect('/hubs/expiring', { token, reconnect: [0] });
    const [first, [expired]] = [client.id, await client.invoke('Claims', 'exp')];
    lifetime = 3600;
    // The server's Close message allows a reconnect, so there is no error.
    assert.deepEqual(await client.reconnecting.next(), { error: undefined, state: HubConnectionState.Reconnecting });
    const { id, state } = await client.reconnected.next();
    assert.equal(state, HubConnectionState.Connected);
    assert.notEqual(id, first);
    assert.equal(await client.invoke('ConnectionId'), id);
    assert.equal(await client.invoke('UserIdentifier'), 'nurse-1');
    const [renewed] = await client.invoke('Claims', 'exp');
    assert.ok(Number(renewed) > Number(expired) + SHORT_LIFETIME_S, `${expired}, then ${renewed}`);
  });

  scenario('a reconnected client is in no group until resubscribeToGroups() joins it again', async (run) => {
    const { connect, httpProxy, transport, unique } = run;
    const [ward, marker] = [unique('ward'), unique('end')];
    const proxy = await httpProxy();
    const sender = await connect('/hubs/clinical', { token: mint(admin) });
    const token = mint({ ...nurse, department: ward });
    const client = await connect('/hubs/clinical', { token, via: proxy.url, reconnect: SHORT_DELAYS });
    const updates = client.on('WardUpdate');
    await client.invoke('SubscribeToWard', ward);
    await sender.invoke('NotifyWard', ward, 'before');
    assert.deepEqual(await updates.next(), [ward, 'before']);

    await proxy.disconnect(transport);
    await client.reconnected.next();
    await sender.invoke('NotifyWard', ward, 'while disconnected');
    await sender.invoke('ToClient', client.id, marker);
    // Messages sent before the marker arrive before it.
    assert.equal(await client.messages.next(), marker);
    assert.equal(updates.size, 0);

    const resubscribeToGroups = () => client.invoke('SubscribeToWard', ward);
    await resubscribeToGroups();
    await sender.invoke('NotifyWard', ward, 'after');
    assert.deepEqual(await updates.next(), [ward, 'after']);
  });

  // Accessing the authenticated user in hub methods

  scenario('Context.User has the claims of the token', async ({ connect }) => {
    const client = await connect('/hubs/clinical', { token: mint(doctor) });
    assert.equal(await client.invoke('IsAuthenticated'), true);
    assert.equal(await client.invoke('UserIdentifier'), 'doctor-1');
    // .NET renames `sub` and `role`; so does this server.
    assert.deepEqual(await client.invoke('Claims', NAME_IDENTIFIER), ['doctor-1']);
    assert.deepEqual(await client.invoke('Claims', ROLE), ['Doctor']);
    assert.deepEqual(await client.invoke('Claims', 'department'), ['cardiology']);
    assert.equal(await client.invoke('InRole', 'Doctor'), true);
    assert.equal(await client.invoke('InRole', 'Nurse'), false);
  });

  scenario('a hub method can decide by claims and roles which users join a group', async ({ connect, unique }) => {
    const [own, other] = [unique('own'), unique('other')];
    const aNurse = await connect('/hubs/clinical', { token: mint({ ...nurse, department: own }) });
    const anAdmin = await connect('/hubs/clinical', { token: mint(admin) });
    const updates = aNurse.on('WardUpdate');
    await aNurse.invoke('SubscribeToWard', own);
    await assert.rejects(aNurse.invoke('SubscribeToWard', other), WARD_DENIED);
    const adminUpdates = anAdmin.on('WardUpdate');
    await anAdmin.invoke('SubscribeToWard', own);
    await anAdmin.invoke('SubscribeToWard', other);
    await anAdmin.invoke('NotifyWard', other, 'not for the nurse');
    await anAdmin.invoke('NotifyWard', own, 'pulse 72');
    assert.deepEqual(await updates.next(), [own, 'pulse 72']);
    assert.deepEqual(await adminUpdates.next(), [other, 'not for the nurse']);
    assert.deepEqual(await adminUpdates.next(), [own, 'pulse 72']);
  });

  // Hub authentication and HTTP authentication

  scenario('the same token in header and query identifies the same user', async ({ connect }) => {
    const token = mint({ ...doctor, name: 'Dr One' });
    const byFactory = await connect('/hubs/clinical', { token });
    const byQuery = await connect(`/hubs/clinical?access_token=${token}`);
    const user = await userOf(byFactory);
    assert.equal(user.id, 'doctor-1');
    assert.deepEqual(await userOf(byQuery), user);
  });

  scenario('other routes of the server have separate authorization', async ({ url, client }) => {
    const open = await fetch(`${url}/ready`);
    assert.equal(open.status, 200);
    await assert.rejects(client('/hubs/clinical').start(), UNAUTHORIZED);
  });

  // Logging connection attempts

  scenario('Context.Abort() in OnConnectedAsync closes the connection without a reconnect', async ({ client }) => {
    await assertClosedWithoutReconnect(client('/abort-on-connect', { reconnect: SHORT_DELAYS }));
  });

  // Other conformance servers have no such hub, and their log is not available.
  if (!process.env.SERVER) {
    scenario('a hub can log the user, role and connection id of a new connection', async ({ connect }) => {
      const { id } = await connect('/hubs/logged', { token: mint(nurse) });
      await server.waitForLog(new RegExp(`SignalR connected: nurse-1 \\(Role: Nurse\\) ConnectionId: ${id}$`));
    });

    scenario('a hub can log and abort an unauthenticated connection', async ({ client }) => {
      await assertClosedWithoutReconnect(client('/hubs/logged', { reconnect: SHORT_DELAYS }));
      const line = await server.waitForLog(/SignalR connected: anonymous \(Role: none\) ConnectionId: /);
      const [id] = /\S+$/.exec(line);
      await server.waitForLog(new RegExp(`WARN .*Unauthenticated SignalR connection: ${id}$`));
    });
  }

  // A frequent mistake: the server does not read the query

  scenario('a token in the query is ignored where the server does not read the query', async (run) => {
    const { connect, transport, tokenInQuery } = run;
    const client = await connect('/mixed-elsewhere', { token: mint(nurse) });
    const isAuthenticated = !tokenInQuery.includes(transport);
    assert.equal(await client.invoke('IsAuthenticated'), isAuthenticated);
    const result = client.invoke('MembersOnly');
    if (isAuthenticated) assert.equal(await result, 'member');
    else await assert.rejects(result, unauthorized('MembersOnly'));
  });

  scenario('a hub with [Authorize] answers 401 after negotiate where the query is not read', async (run) => {
    const { client, httpProxy, transport, tokenInQuery } = run;
    const proxy = await httpProxy(({ url }) => ({ url: withoutToken(url) }));
    const start = client('/hubs/clinical', { via: proxy.url, token: mint(nurse) }).start();
    const isRejected = tokenInQuery.includes(transport);
    if (isRejected) await assert.rejects(start, /failed to connect/);
    else await start;
    const status = (kind) => proxy.requests.find((request) => request.kind === kind).status;
    assert.equal(status(RequestKind.negotiate), 200);
    assert.equal(status(transport), isRejected ? 401 : { WebSockets: 101 }[transport] ?? 200);
  });

  withAnyTransport('a client without a fixed transport falls back to one that sends the header', async (run) => {
    const { connect, httpProxy, protocol, tokenInQuery } = run;
    const proxy = await httpProxy(({ url }) => ({ url: withoutToken(url) }));
    const client = await connect('/hubs/clinical', { via: proxy.url, token: mint(nurse) });
    const transports = combinations().filter((each) => each.protocol === protocol).map(({ transport }) => transport);
    const selected = transports.find((transport) => !tokenInQuery.includes(transport));
    assert.equal(await client.invoke('Transport'), selected);
    assert.equal(await client.invoke('UserIdentifier'), 'nurse-1');
    // The client tries the transports before it, each with a new negotiate.
    const tried = transports.slice(0, transports.indexOf(selected) + 1);
    assert.deepEqual(transports.filter((transport) => proxy.count(transport) > 0), tried);
    assert.equal(proxy.count(RequestKind.negotiate), tried.length);
  });

  // Keeping the token out of URLs and of the page

  scenario('the application builds no URL with the token, and its page stores none', async (run) => {
    const { connect, httpProxy, pageState, transport } = run;
    const proxy = await httpProxy();
    const before = minted.length;
    const token = () => mint(nurse);
    const client = await connect('/hubs/clinical', { token, via: proxy.url, reconnect: SHORT_DELAYS });
    await proxy.disconnect(transport);
    await client.reconnected.next();
    assert.equal(await client.invoke('UserIdentifier'), 'nurse-1');
    assert.equal(client.hub.baseUrl, `${proxy.url}/hubs/clinical`);
    const tokens = minted.slice(before);
    assert.ok(tokens.length >= 2);
    for (const [place, text] of Object.entries(await pageState())) {
      for (const secret of tokens) assert.ok(!text.includes(secret), `a token is in the page's ${place}`);
    }
  });
}

/**
 * Starts `client`, whose connection the server aborts. Fails unless it closes without an error and
 * a reconnect.
 */
async function assertClosedWithoutReconnect(client) {
  // `start()` fails if the Close message arrives in one chunk with the handshake response.
  const startError = await client.start().then(() => undefined, (error) => error);
  if (startError) assert.match(startError.message, /before the hub handshake could complete/);
  else assert.deepEqual(await client.closed(), { error: undefined });
  assert.equal(client.hub.state, HubConnectionState.Disconnected);
  assert.equal(client.reconnecting.size, 0);
}

/**
 * Declares the last test of a file: the server's log, at level trace, contains none of the tokens.
 */
export function noTokenIsLogged() {
  const skip = process.env.SERVER && 'the log of another server is not available';
  test('the log of the server contains no token', { skip }, async () => {
    await server.stop();
    const log = server.log.join('\n');
    for (const expected of [/DEBUG signalr::/, /SignalR connected: nurse-1/]) assert.match(log, expected);
    assert.ok(minted.length > 50 && connectionTokens.length > 5);
    // The claims and the signature of a token are secrets by themselves.
    const secrets = [...connectionTokens, ...minted.flatMap((token) => token.split('.').slice(1))];
    assert.equal(secrets.filter((secret) => log.includes(secret)).length, 0, 'tokens are in the log');
  });
}
