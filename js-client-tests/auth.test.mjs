// Authentication by access tokens and authorization of endpoints and methods, as the client sees them.
import assert from 'node:assert/strict';
import { everywhere, overWebSockets } from './support/conformance.mjs';
import { admin, doctor, mint, nurse } from './support/tokens.mjs';

/** Long enough to start with on a busy machine. */
const SHORT_S = 4;
const PATIENT = '6f9619ff-8b86-d011-b42d-00cf4fc964ff';
const unauthorized = (method) => ({ message: `Failed to invoke '${method}' because user is unauthorized` });
const refusedWith = (reason) => ({ message: `Failed to complete negotiation with the server: Error: ${reason}` });
const UNAUTHORIZED = refusedWith("Unauthorized: Status code '401'");
const FORBIDDEN = refusedWith("Forbidden: Status code '403'");

everywhere('the token of the access token factory says who the user is', async ({ connect }) => {
  const client = await connect('/hubs/clinical', { token: async () => mint(doctor) });
  assert.equal(await client.invoke('IsAuthenticated'), true);
  assert.equal(await client.invoke('UserIdentifier'), 'doctor-1');
  assert.deepEqual(await client.invoke('Claims', 'department'), ['cardiology']);
  assert.equal(await client.invoke('InRole', 'Doctor'), true);
  assert.equal(await client.invoke('InRole', 'Nurse'), false);
});

everywhere('without a token the client is refused with 401', async ({ client }) => {
  await assert.rejects(client('/hubs/clinical').start(), UNAUTHORIZED);
});

everywhere('with a token that does not hold the client is refused with 401', async ({ client }) => {
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

everywhere('a user the endpoint policy refuses gets 403', async ({ client, connect }) => {
  await assert.rejects(client('/hubs/policy', { token: mint(doctor) }).start(), FORBIDDEN);
  await assert.rejects(client('/hubs/policy').start(), UNAUTHORIZED);
  const admitted = await connect('/hubs/policy', { token: mint(nurse) });
  assert.equal(await admitted.invoke('Echo', 'in'), 'in');
});

overWebSockets('a token in the query is enough where negotiation is skipped', async ({ client, connect }) => {
  const options = { skipNegotiation: true };
  await assert.rejects(client('/hubs/clinical', { options }).start(), /^Error: WebSocket failed to connect\./);
  const known = await connect(`/hubs/clinical?access_token=${mint(nurse)}`, { options });
  assert.equal(await known.invoke('UserIdentifier'), 'nurse-1');
});

everywhere('a method admits those its policies and roles admit', async ({ connect }) => {
  const [aNurse, aDoctor, anAdmin] = [
    await connect('/hubs/clinical', { token: mint(nurse) }),
    await connect('/hubs/clinical', { token: mint(doctor) }),
    await connect('/hubs/clinical', { token: mint({ ...admin, role: ['Admin', 'Doctor'] }) }),
  ];
  assert.equal(await aDoctor.invoke('OrderMedication', PATIENT, 'aspirin'), 'aspirin ordered');
  assert.equal(await aDoctor.invoke('ClinicalOnly'), 'clinical');
  assert.equal(await aDoctor.invoke('AdminOrDoctor'), 'either');
  await assert.rejects(aDoctor.invoke('AdminAndDoctor'), unauthorized('AdminAndDoctor'));
  assert.equal(await anAdmin.invoke('AdminAndDoctor'), 'both');

  await assert.rejects(aNurse.invoke('OrderMedication', PATIENT, 'aspirin'), unauthorized('OrderMedication'));
  await assert.rejects(aNurse.invoke('ordermedication', PATIENT, 'aspirin'), unauthorized('OrderMedication'));
  await assert.rejects(aNurse.invoke('AdminOrDoctor'), unauthorized('AdminOrDoctor'));
  assert.equal(await aNurse.invoke('ClinicalOnly'), 'clinical');
  assert.equal(await aNurse.invoke('Echo', 'still here'), 'still here');
});

everywhere('a refused send is silent', async ({ connect }) => {
  const client = await connect('/hubs/clinical', { token: mint(nurse) });
  await client.send('OrderMedication', PATIENT, 'aspirin');
  await client.send('ToCaller', 'after it');
  assert.equal(await client.messages.next(), 'after it');
});

everywhere('an open hub still guards its methods', async ({ connect }) => {
  const stranger = await connect('/hubs/mixed');
  assert.equal(await stranger.invoke('Echo', 'open'), 'open');
  await assert.rejects(stranger.invoke('MembersOnly'), unauthorized('MembersOnly'));
  await assert.rejects(stranger.invoke('Doctors'), unauthorized('Doctors'));
  const member = await connect('/hubs/mixed', { token: mint(nurse) });
  assert.equal(await member.invoke('MembersOnly'), 'member');
  await assert.rejects(member.invoke('Doctors'), unauthorized('Doctors'));
  const aDoctor = await connect('/hubs/mixed', { token: mint(doctor) });
  assert.equal(await aDoctor.invoke('Doctors'), 'doctor');
});

everywhere('a ward admits its own department and administrators', async ({ connect, unique }) => {
  const [own, other] = [unique('own'), unique('other')];
  const aNurse = await connect('/hubs/clinical', { token: mint({ ...nurse, department: own }) });
  const anAdmin = await connect('/hubs/clinical', { token: mint(admin) });
  const updates = aNurse.on('WardUpdate');
  await aNurse.invoke('SubscribeToWard', own);
  await assert.rejects(aNurse.invoke('SubscribeToWard', other), {
    message:
      "An unexpected error occurred invoking 'SubscribeToWard' on the server. " +
      'HubException: Access to this ward requires matching department assignment.',
  });
  const adminUpdates = anAdmin.on('WardUpdate');
  await anAdmin.invoke('SubscribeToWard', own);
  await anAdmin.invoke('SubscribeToWard', other);
  await anAdmin.invoke('NotifyWard', other, 'not for the nurse');
  await anAdmin.invoke('NotifyWard', own, 'pulse 72');
  assert.deepEqual(await updates.next(), [own, 'pulse 72']);
  assert.deepEqual(await adminUpdates.next(), [other, 'not for the nurse']);
  assert.deepEqual(await adminUpdates.next(), [own, 'pulse 72']);
});

everywhere('a connection ends with its token where the hub says so', async ({ connect }) => {
  const client = await connect('/hubs/expiring', { token: () => mint(nurse, { expiresIn: SHORT_S }) });
  assert.deepEqual(await client.closed(), { error: undefined });
});

everywhere('a connection that ended with its token reconnects with a fresh one', async ({ connect }) => {
  let lifetime = SHORT_S;
  const token = () => mint(nurse, { expiresIn: lifetime });
  const client = await connect('/hubs/expiring', { token, reconnect: [0] });
  const first = client.id;
  lifetime = 3600;
  assert.equal((await client.reconnecting.next()).error, undefined);
  const { id } = await client.reconnected.next();
  assert.notEqual(id, first);
  assert.equal(await client.invoke('UserIdentifier'), 'nurse-1');
});
