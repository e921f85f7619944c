// Access tokens and authorization beyond what `auth-scenarios.test.mjs` has.
import assert from 'node:assert/strict';
import { everywhere, overWebSockets } from './support/conformance.mjs';
import { admin, doctor, mint, nurse } from './support/tokens.mjs';

/** Long enough to start with on a busy machine. */
const SHORT_S = 4;
const PATIENT = '6f9619ff-8b86-d011-b42d-00cf4fc964ff';
const unauthorized = (method) => ({ message: `Failed to invoke '${method}' because user is unauthorized` });

overWebSockets('a token in the query is enough where negotiation is skipped', async ({ client, connect }) => {
  const options = { skipNegotiation: true };
  await assert.rejects(client('/hubs/clinical', { options }).start(), /^Error: WebSocket failed to connect\./);
  const known = await connect(`/hubs/clinical?access_token=${mint(nurse)}`, { options });
  assert.equal(await known.invoke('UserIdentifier'), 'nurse-1');
});

everywhere('the roles of one attribute are alternatives, several attributes add up', async ({ connect }) => {
  const aDoctor = await connect('/hubs/clinical', { token: mint(doctor) });
  const aNurse = await connect('/hubs/clinical', { token: mint(nurse) });
  const both = await connect('/hubs/clinical', { token: mint({ ...admin, role: ['Admin', 'Doctor'] }) });
  assert.equal(await aDoctor.invoke('AdminOrDoctor'), 'either');
  await assert.rejects(aNurse.invoke('AdminOrDoctor'), unauthorized('AdminOrDoctor'));
  await assert.rejects(aDoctor.invoke('AdminAndDoctor'), unauthorized('AdminAndDoctor'));
  assert.equal(await both.invoke('AdminAndDoctor'), 'both');
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

everywhere('a connection ends with its token where the hub says so', async ({ connect }) => {
  const client = await connect('/hubs/expiring', { token: () => mint(nurse, { expiresIn: SHORT_S }) });
  assert.deepEqual(await client.closed(), { error: undefined });
});
