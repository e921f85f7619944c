// What applications require of authentication and authorization, from the way a token travels to what the log keeps of
// it. `auth-scenarios.test.mjs` runs it in Node, `browser/auth-scenarios.test.mjs` in Chromium.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HubConnectionState } from '@microsoft/signalr';
import { everywhere, inEachFormat, server } from './support/conformance.mjs';
import { Kind } from './support/http-proxy.mjs';
import { pairs } from './support/matrix.mjs';
import { admin, doctor, mint, minted, nurse } from './support/tokens.mjs';

// The last test reads all that the server logs.
process.env.RUST_LOG = 'trace';
process.env.NO_COLOR = '1';

/** Long enough to start with on a busy machine. */
const SHORT_S = 4;
const SOON = [0, 20, 50, 100, 200];
const PATIENT = '6f9619ff-8b86-d011-b42d-00cf4fc964ff';

const CLAIMS = 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims';
const NAME_IDENTIFIER = `${CLAIMS}/nameidentifier`;
const ROLE = 'http://schemas.microsoft.com/ws/2008/06/identity/claims/role';

const refusedWith = (reason) => ({ message: `Failed to complete negotiation with the server: Error: ${reason}` });
const UNAUTHORIZED = refusedWith("Unauthorized: Status code '401'");
const FORBIDDEN = refusedWith("Forbidden: Status code '403'");
const unauthorized = (method) => ({ message: `Failed to invoke '${method}' because user is unauthorized` });
const WARD_REFUSED = {
  message:
    "An unexpected error occurred invoking 'SubscribeToWard' on the server. " +
    'HubException: Access to this ward requires matching department assignment.',
};

/** What addresses a connection over HTTP, of some of them. */
const connectionTokens = [];

const queryOf = (url) => new URL(url, 'http://server').searchParams;
const withoutToken = (url) => url.replace(/([?&])access_token=[^&]*&?/, '$1').replace(/[?&]$/, '');

/** What a hub knows of its caller. */
async function whoIs(client) {
  const claims = ['iss', 'aud', 'exp', 'department', NAME_IDENTIFIER, ROLE];
  const [known, id, name] = [
    await client.invoke('IsAuthenticated'),
    await client.invoke('UserIdentifier'),
    await client.invoke('UserName'),
  ];
  const values = [];
  for (const claim of claims) values.push(await client.invoke('Claims', claim));
  return { known, id, name, claims: values };
}

/** Declares every requirement, with clients of `world`. */
export function requirements(world) {
  const row = (name, body, options) => everywhere(name, body, { ...options, world });
  const free = (name, body) => inEachFormat(name, body, { world });

  // The WebSocket JWT challenge

  row('the token is in the Authorization header, and in the query of what can set no headers', async (run) => {
    const { connect, front, transport, tokenInQuery } = run;
    const between = await front();
    const token = mint(nurse);
    const client = await connect('/hubs/clinical', { via: between.url, token });
    assert.equal(await client.invoke('UserIdentifier'), 'nurse-1');
    await client.hub.stop();

    const asked = between.requests.filter(({ kind }) => kind !== Kind.preflight);
    const expected = {
      WebSockets: [Kind.negotiate, Kind.webSocket],
      ServerSentEvents: [Kind.negotiate, Kind.events, Kind.send],
      LongPolling: [Kind.negotiate, Kind.poll, Kind.send, Kind.end],
    };
    assert.deepEqual(new Set(asked.map(({ kind }) => kind)), new Set(expected[transport]));
    for (const { kind, url, headers } of asked) {
      const inQuery = tokenInQuery.includes(kind);
      assert.equal(queryOf(url).get('access_token'), inQuery ? token : null, kind);
      assert.equal(headers.authorization, inQuery ? undefined : `Bearer ${token}`, kind);
      if (kind !== Kind.negotiate) connectionTokens.push(queryOf(url).get('id'));
    }
  });

  // JWT configuration for SignalR

  row('issuer, audience, lifetime and signing key are validated', async ({ client }) => {
    const tokens = {
      'not a token': 'junk',
      expired: mint(nurse, { expiresIn: -400 }),
      'signed by a stranger': mint(nurse, { key: 'another-key-that-is-32-bytes-or-longer-0123456789' }),
      'for someone else': mint(nurse, { audience: 'another-audience' }),
      'from someone else': mint(nurse, { issuer: 'https://another.test' }),
      'changed after signing': mint(nurse).replace(/\.[^.]+\./, `.${mint(admin).split('.')[1]}.`),
    };
    for (const [what, token] of Object.entries(tokens)) {
      await assert.rejects(client('/hubs/clinical', { token }).start(), UNAUTHORIZED, what);
    }
  });

  row('the token is read from the query on hub paths only', async ({ connect }) => {
    const known = await connect(`/hubs/mixed?access_token=${mint(nurse)}`);
    assert.equal(await known.invoke('UserIdentifier'), 'nurse-1');
    assert.equal(await known.invoke('MembersOnly'), 'member');
    const stranger = await connect(`/mixed-elsewhere?access_token=${mint(nurse)}`);
    assert.equal(await stranger.invoke('IsAuthenticated'), false);
    await assert.rejects(stranger.invoke('MembersOnly'), unauthorized('MembersOnly'));
  });

  row('the token in the query goes before the one in the header', async ({ client, connect }) => {
    const both = await connect(`/hubs/clinical?access_token=${mint(doctor)}`, { token: mint(nurse) });
    assert.equal(await both.invoke('UserIdentifier'), 'doctor-1');
    await assert.rejects(client('/hubs/clinical?access_token=junk', { token: mint(nurse) }).start(), UNAUTHORIZED);
    const empty = await connect('/hubs/clinical?access_token=', { token: mint(nurse) });
    assert.equal(await empty.invoke('UserIdentifier'), 'nurse-1');
  }, { transports: ['LongPolling'] });

  // Hub authorization

  row('[Authorize] on the hub: without a token it is 401', async ({ client, connect }) => {
    await assert.rejects(client('/hubs/clinical').start(), UNAUTHORIZED);
    const admitted = await connect('/hubs/clinical', { token: mint(nurse) });
    assert.equal(await admitted.invoke('IsAuthenticated'), true);
  });

  row('[Authorize(Policy)] on a method is stricter than the hub', async ({ connect }) => {
    const aNurse = await connect('/hubs/clinical', { token: mint(nurse) });
    const aDoctor = await connect('/hubs/clinical', { token: mint(doctor) });
    const anAdmin = await connect('/hubs/clinical', { token: mint(admin) });
    assert.equal(await aDoctor.invoke('OrderMedication', PATIENT, 'aspirin'), 'aspirin ordered');
    await assert.rejects(aNurse.invoke('OrderMedication', PATIENT, 'aspirin'), unauthorized('OrderMedication'));
    await assert.rejects(aNurse.invoke('ordermedication', PATIENT, 'aspirin'), unauthorized('OrderMedication'));
    await assert.rejects(anAdmin.invoke('OrderMedication', PATIENT, 'aspirin'), unauthorized('OrderMedication'));
    for (const clinical of [aNurse, aDoctor]) assert.equal(await clinical.invoke('ClinicalOnly'), 'clinical');
    await assert.rejects(anAdmin.invoke('ClinicalOnly'), unauthorized('ClinicalOnly'));
    // A refusal ends nothing.
    assert.equal(await aNurse.invoke('Echo', 'still here'), 'still here');
  });

  row('RequireAuthorization on the route: its policy refuses with 403', async ({ client, connect }) => {
    await assert.rejects(client('/hubs/policy', { token: mint(doctor) }).start(), FORBIDDEN);
    await assert.rejects(client('/hubs/policy').start(), UNAUTHORIZED);
    const admitted = await connect('/hubs/policy', { token: mint(nurse) });
    assert.equal(await admitted.invoke('Echo', 'in'), 'in');
  });

  // JavaScript client: sending the token

  row('accessTokenFactory is called at each connect, and the server sees the new token', async (run) => {
    const { connect, front, transport } = run;
    let calls = 0;
    const next = () => mint({ ...nurse, serial: `token ${(calls += 1)}` });
    // The client asks once to negotiate, and once more for a WebSocket.
    const perStart = transport === 'WebSockets' ? 2 : 1;
    for (const token of [next, async () => next()]) {
      calls = 0;
      const between = await front();
      const client = await connect('/hubs/clinical', { token, via: between.url, reconnect: SOON });
      assert.equal(calls, perStart);
      assert.deepEqual(await client.invoke('Claims', 'serial'), [`token ${perStart}`]);
      await between.lose(transport);
      await client.reconnected.next();
      assert.equal(calls, 2 * perStart);
      assert.deepEqual(await client.invoke('Claims', 'serial'), [`token ${2 * perStart}`]);
    }
  });

  for (const [delays, reconnect] of [['[0, 2000, 10000, 30000]', [0, 2000, 10000, 30000]], ['', true]]) {
    row(`withAutomaticReconnect(${delays}) tries at once, and again after two seconds`, async (run) => {
      const { connect, front, transport } = run;
      const between = await front();
      const client = await connect('/hubs/clinical', { token: mint(nurse), via: between.url, reconnect });
      const first = client.id;
      await between.lose(transport);
      const { rule } = between;
      const tries = [];
      between.rule = (request) => {
        if (request.kind !== Kind.negotiate) return rule(request);
        return tries.push(performance.now()) === 1 ? { status: 503 } : undefined;
      };
      const { id } = await client.reconnected.next();
      assert.notEqual(id, first);
      assert.equal(tries.length, 2);
      // Timers may be a little early.
      assert.ok(tries[1] - tries[0] > 1_990, `tried after ${tries[1] - tries[0]} ms`);
    });
  }

  // Token refresh for long-lived connections

  row('accessTokenFactory refreshes a token that is expiring soon', async ({ connect, front, transport }) => {
    let refreshed = 0;
    const refreshToken = async () => mint({ ...nurse, serial: `refreshed ${(refreshed += 1)}` });
    const isTokenExpiringSoon = (token) =>
      JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).exp - Date.now() / 1000 < 60;
    let accessToken = mint({ ...nurse, serial: 'first' });
    const token = async () => {
      if (isTokenExpiringSoon(accessToken)) accessToken = await refreshToken();
      return accessToken;
    };
    const between = await front();
    const client = await connect('/hubs/clinical', { token, via: between.url, reconnect: SOON });
    assert.deepEqual(await client.invoke('Claims', 'serial'), ['first']);
    await between.lose(transport);
    await client.reconnected.next();
    assert.deepEqual(await client.invoke('Claims', 'serial'), ['first']);
    accessToken = mint({ ...nurse, serial: 'old' }, { expiresIn: 30 });
    await between.lose(transport);
    await client.reconnected.next();
    assert.deepEqual(await client.invoke('Claims', 'serial'), ['refreshed 1']);
    assert.equal(refreshed, 1);
  });

  row('a connection whose token expires is reconnecting, then reconnected with a fresh one', async ({ connect }) => {
    let lifetime = SHORT_S;
    const token = async () => mint(nurse, { expiresIn: lifetime });
    const client = await connect('/hubs/expiring', { token, reconnect: [0] });
    const [first, [expired]] = [client.id, await client.invoke('Claims', 'exp')];
    lifetime = 3600;
    // The server said that it may come back: no error.
    assert.deepEqual(await client.reconnecting.next(), { error: undefined, state: HubConnectionState.Reconnecting });
    const { id, state } = await client.reconnected.next();
    assert.equal(state, HubConnectionState.Connected);
    assert.notEqual(id, first);
    assert.equal(await client.invoke('ConnectionId'), id);
    assert.equal(await client.invoke('UserIdentifier'), 'nurse-1');
    const [fresh] = await client.invoke('Claims', 'exp');
    assert.ok(Number(fresh) > Number(expired) + SHORT_S, `${expired}, then ${fresh}`);
  });

  row('groups are gone after a reconnect until resubscribeToGroups() joins them again', async (run) => {
    const { connect, front, transport, unique } = run;
    const [ward, marker] = [unique('ward'), unique('end')];
    const between = await front();
    const sender = await connect('/hubs/clinical', { token: mint(admin) });
    const token = mint({ ...nurse, department: ward });
    const client = await connect('/hubs/clinical', { token, via: between.url, reconnect: SOON });
    const updates = client.on('WardUpdate');
    await client.invoke('SubscribeToWard', ward);
    await sender.invoke('NotifyWard', ward, 'before');
    assert.deepEqual(await updates.next(), [ward, 'before']);

    await between.lose(transport);
    await client.reconnected.next();
    await sender.invoke('NotifyWard', ward, 'while gone');
    await sender.invoke('ToClient', client.id, marker);
    // What was sent before the marker is there before it.
    assert.equal(await client.messages.next(), marker);
    assert.equal(updates.size, 0);

    const resubscribeToGroups = () => client.invoke('SubscribeToWard', ward);
    await resubscribeToGroups();
    await sender.invoke('NotifyWard', ward, 'after');
    assert.deepEqual(await updates.next(), [ward, 'after']);
  });

  // Accessing the authenticated user in hub methods

  row('Context.User has the claims of the token', async ({ connect }) => {
    const client = await connect('/hubs/clinical', { token: mint(doctor) });
    assert.equal(await client.invoke('IsAuthenticated'), true);
    assert.equal(await client.invoke('UserIdentifier'), 'doctor-1');
    // .NET renames `sub` and `role`, and so does this server.
    assert.deepEqual(await client.invoke('Claims', NAME_IDENTIFIER), ['doctor-1']);
    assert.deepEqual(await client.invoke('Claims', ROLE), ['Doctor']);
    assert.deepEqual(await client.invoke('Claims', 'department'), ['cardiology']);
    assert.equal(await client.invoke('InRole', 'Doctor'), true);
    assert.equal(await client.invoke('InRole', 'Nurse'), false);
  });

  row('a ward admits its own department and the role Admin', async ({ connect, unique }) => {
    const [own, other] = [unique('own'), unique('other')];
    const aNurse = await connect('/hubs/clinical', { token: mint({ ...nurse, department: own }) });
    const anAdmin = await connect('/hubs/clinical', { token: mint(admin) });
    const updates = aNurse.on('WardUpdate');
    await aNurse.invoke('SubscribeToWard', own);
    await assert.rejects(aNurse.invoke('SubscribeToWard', other), WARD_REFUSED);
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

  row('the same token in header and query is the same user', async ({ connect }) => {
    const token = mint({ ...doctor, name: 'Dr One' });
    const byFactory = await connect('/hubs/clinical', { token });
    const byQuery = await connect(`/hubs/clinical?access_token=${token}`);
    const user = await whoIs(byFactory);
    assert.equal(user.id, 'doctor-1');
    assert.deepEqual(await whoIs(byQuery), user);
  });

  row('a route beside the hubs has its own protection', async ({ url, client }) => {
    const open = await fetch(`${url}/ready`);
    assert.equal(open.status, 200);
    await assert.rejects(client('/hubs/clinical').start(), UNAUTHORIZED);
  });

  // Logging connection attempts

  row('Context.Abort() in OnConnectedAsync ends the connection at once', async ({ client }) => {
    await endedAtOnce(client('/abort-on-connect', { reconnect: SOON }));
  });

  // A hub and a log that only our own server has.
  if (!process.env.SERVER) {
    row('a connection attempt is logged with user, role and connection id', async ({ connect }) => {
      const { id } = await connect('/hubs/logged', { token: mint(nurse) });
      await server.logged(new RegExp(`SignalR connected: nurse-1 \\(Role: Nurse\\) ConnectionId: ${id}$`));
    });

    row('an unauthenticated connection is logged and rejected at once', async ({ client }) => {
      await endedAtOnce(client('/hubs/logged', { reconnect: SOON }));
      const line = await server.logged(/SignalR connected: anonymous \(Role: none\) ConnectionId: /);
      const [id] = /\S+$/.exec(line);
      await server.logged(new RegExp(`WARN .*Unauthenticated SignalR connection: ${id}$`));
    });
  }

  // The production issue: the query is not read

  row('where the query is not read, who sends the token there is anonymous', async (run) => {
    const { connect, transport, tokenInQuery } = run;
    const client = await connect('/mixed-elsewhere', { token: mint(nurse) });
    const known = !tokenInQuery.includes(transport);
    assert.equal(await client.invoke('IsAuthenticated'), known);
    const call = client.invoke('MembersOnly');
    if (known) assert.equal(await call, 'member');
    else await assert.rejects(call, unauthorized('MembersOnly'));
  });

  row('[Authorize] and a query that is not read: 401 after a good negotiation', async (run) => {
    const { client, front, transport, tokenInQuery } = run;
    const between = await front(({ url }) => ({ url: withoutToken(url) }));
    const start = client('/hubs/clinical', { via: between.url, token: mint(nurse) }).start();
    const refused = tokenInQuery.includes(transport);
    if (refused) await assert.rejects(start, /failed to connect/);
    else await start;
    const status = (kind) => between.requests.find((request) => request.kind === kind).status;
    assert.equal(status(Kind.negotiate), 200);
    assert.equal(status(transport), refused ? 401 : { WebSockets: 101 }[transport] ?? 200);
  });

  free('and a client that may choose ends with a transport that sends the header', async (run) => {
    const { connect, front, protocol, tokenInQuery } = run;
    const between = await front(({ url }) => ({ url: withoutToken(url) }));
    const client = await connect('/hubs/clinical', { via: between.url, token: mint(nurse) });
    const carriers = pairs().filter((pair) => pair.protocol === protocol).map(({ transport }) => transport);
    const taken = carriers.find((transport) => !tokenInQuery.includes(transport));
    assert.equal(await client.invoke('Transport'), taken);
    assert.equal(await client.invoke('UserIdentifier'), 'nurse-1');
    // Those before it were tried, each after a negotiation of its own.
    const tried = carriers.slice(0, carriers.indexOf(taken) + 1);
    assert.deepEqual(carriers.filter((transport) => between.count(transport) > 0), tried);
    assert.equal(between.count(Kind.negotiate), tried.length);
  });

  // Red flag and green answer

  row('the application never builds a URL with the token, and its page keeps none', async (run) => {
    const { connect, front, traces, transport } = run;
    const between = await front();
    const before = minted.length;
    const token = () => mint(nurse);
    const client = await connect('/hubs/clinical', { token, via: between.url, reconnect: SOON });
    await between.lose(transport);
    await client.reconnected.next();
    assert.equal(await client.invoke('UserIdentifier'), 'nurse-1');
    assert.equal(client.hub.baseUrl, `${between.url}/hubs/clinical`);
    const tokens = minted.slice(before);
    assert.ok(tokens.length >= 2);
    for (const [place, text] of Object.entries(await traces())) {
      for (const secret of tokens) assert.ok(!text.includes(secret), `a token is in the page's ${place}`);
    }
  });
}

/** Starts `client`, whose connection the server aborts: it is closed without an error, and stays closed. */
async function endedAtOnce(client) {
  // The close comes right behind the handshake's answer: start() sees it when both come in one piece.
  const stopped = await client.start().then(() => undefined, (error) => error);
  if (stopped) assert.match(stopped.message, /before the hub handshake could complete/);
  else assert.deepEqual(await client.closed(), { error: undefined });
  assert.equal(client.hub.state, HubConnectionState.Disconnected);
  assert.equal(client.reconnecting.size, 0);
}

/** Declares the last test of a file: what the server logged meanwhile, at every level, has none of the tokens. */
export function nothingLogged() {
  test('no token is in the log of the server', { skip: process.env.SERVER && 'its log is not here' }, async () => {
    await server.stop();
    const log = server.log.join('\n');
    for (const known of [/DEBUG signalr::/, /SignalR connected: nurse-1/]) assert.match(log, known);
    assert.ok(minted.length > 50 && connectionTokens.length > 5);
    // The claims of a token tell as much as the whole of it, and its signature is what makes it one.
    const secrets = [...connectionTokens, ...minted.flatMap((token) => token.split('.').slice(1))];
    assert.equal(secrets.filter((secret) => log.includes(secret)).length, 0, 'tokens are in the log');
  });
}
