// Access tokens and authorization: cases that `auth-scenarios.test.mjs` does not have.
import assert from 'node:assert/strict';
import { eachTransport, overWebSockets } from './support/conformance.mjs';
import { admin, doctor, mint, nurse } from './support/tokens.mjs';

/** Token lifetime; long enough to connect on a busy machine. */
const SHORT_LIFETIME_S = 4;
const PATIENT = '6f9619ff-8b86-d011-b42d-00cf4fc964ff';
const unauthorized = (method) => ({ message: `Failed to invoke '${method}' because user is unauthorized` });

overWebSockets('a token in the query authenticates a WebSocket without negotiate', async ({ client, connect }) => {
  const options = { skipNegotiation: true };
  await assert.rejects(client('/hubs/clinical', { options }).start(), /^Error: WebSocket failed to connect\./);
  const authenticated = await connect(`/hubs/clinical?access_token=${mint(nurse)}`, { options });
  assert.equal(await authenticated.invoke('UserIdentifier'), 'nurse-1');
});

eachTransport('one role of an [Authorize] attribute is sufficient, and all attributes apply', async ({ connect }) => {
  const aDoctor = await connect('/hubs/clinical', { token: mint(doctor) });
  const aNurse = await connect('/hubs/clinical', { token: mint(nurse) });
  const both = await connect('/hubs/clinical', { token: mint({ ...admin, role: ['Admin', 'Doctor'] }) });
  assert.equal(await aDoctor.invoke('AdminOrDoctor'), 'either');
  await assert.rejects(aNurse.invoke('AdminOrDoctor'), unauthorized('AdminOrDoctor'));
  await assert.rejects(aDoctor.invoke('AdminAndDoctor'), unauthorized('AdminAndDoctor'));
  assert.equal(await both.invoke('AdminAndDoctor'), 'both');
});

eachTransport('an unauthorized send has no response', async ({ connect }) => {
  const client = await connect('/hubs/clinical', { token: mint(nurse) });
  await client.send('OrderMedication', PATIENT, 'aspirin');
  await client.send('ToCaller', 'after it');
  assert.equal(await client.messages.next(), 'after it');
});

eachTransport('a hub without authorization can require it for single methods', async ({ connect }) => {
  const anonymous = await connect('/hubs/mixed');
  assert.equal(await anonymous.invoke('Echo', 'open'), 'open');
  await assert.rejects(anonymous.invoke('MembersOnly'), unauthorized('MembersOnly'));
  await assert.rejects(anonymous.invoke('Doctors'), unauthorized('Doctors'));
  const member = await connect('/hubs/mixed', { token: mint(nurse) });
  assert.equal(await member.invoke('MembersOnly'), 'member');
  await assert.rejects(member.invoke('Doctors'), unauthorized('Doctors'));
  const aDoctor = await connect('/hubs/mixed', { token: mint(doctor) });
  assert.equal(await aDoctor.invoke('Doctors'), 'doctor');
});

eachTransport('a hub can close connections when their token expires', async ({ connect }) => {
  const client = await connect('/hubs/expiring', { token: () => mint(nurse, { expiresIn: SHORT_LIFETIME_S }) });
  assert.deepEqual(await client.closed(), { error: undefined });
});
