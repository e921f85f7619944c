// The dashboard: sends the user's actions to the server and shows the server's messages.

import { byId, element, minutes, timeOfDay } from './dom.js';
import { DashboardConnection } from './connection.js';
import { Alarms, clearLists, listAudit, listDenial, logEvent } from './panels.js';
import { SessionEnded, accessToken, cutConnection, signIn, signOut, tokenState } from './session.js';
import { WardView } from './ward.js';

const alarms = new Alarms();
const wards = new Map();
let connection;
let updates = 0;
let refreshes = 0;

for (const button of document.querySelectorAll('[data-person]')) {
  button.addEventListener('click', () => signInAs(button.dataset.person));
}
for (const button of document.querySelectorAll('[data-ward]')) {
  button.addEventListener('click', () => openWard(button));
}
byId('sign-out').addEventListener('click', () => end());
byId('cut-connection').addEventListener('click', requestCut);
byId('connect').addEventListener('click', () => connection.start());
byId('order').addEventListener('submit', order);
setInterval(tick, 1000);
tick();

async function signInAs(person) {
  const buttons = document.querySelectorAll('[data-person]');
  byId('sign-in-problem').hidden = true;
  buttons.forEach((button) => { button.disabled = true; });
  try {
    showPerson(await signIn(person, byId('short-tokens').checked));
    connection = new DashboardConnection({ accessToken, handlers, report });
    await connection.start();
  } catch (error) {
    showProblem(error.message);
  } finally {
    buttons.forEach((button) => { button.disabled = false; });
  }
}

/** Signs out. Shows `reason` if the user did not request it. */
async function end(reason) {
  const ended = connection;
  connection = undefined;
  document.body.classList.remove('is-signed-in');
  for (const ward of [...wards.keys()]) closeWard(ward);
  alarms.clear();
  if (reason) showProblem(reason);
  // Ends the session on the server as well, so that no reconnect can succeed.
  await Promise.allSettled([signOut(), ended?.stop()]);
  showState('Disconnected');
}

/** Methods that the server invokes. */
const handlers = {
  WardOpened(ward) {
    // A reconnected client subscribes again and already has a view of the ward.
    if (wards.has(ward.id)) wards.get(ward.id).refill(ward);
    else {
      const view = new WardView(ward, { onLeave: () => leaveWard(ward.id), onOrder: chooseFor });
      wards.set(ward.id, view);
    }
    showWards();
  },
  VitalsUpdated(vitals) {
    const ward = wards.get(vitals.ward);
    if (!ward) return;
    updates += 1;
    byId('updates').textContent = updates.toLocaleString();
    ward.update(vitals);
    alarms.update(vitals.ward, ward.patients, vitals);
  },
  MedicationOrdered({ number, drug, patientName, orderedBy }) {
    logEvent('good', `Order ${number}: ${drug} for ${patientName}, by ${orderedBy}`);
  },
  AuditOpened(entries) {
    byId('audit').replaceChildren();
    entries.forEach(listAudit);
  },
  ActionDenied: listAudit,
};

/** Events of the connection. */
const report = {
  state: showState,
  event: logEvent,
  denied(action, reason) {
    listDenial(action, reason);
    logEvent('bad', `Denied: ${action}. ${reason}`);
  },
  left: closeWard,
  sessionEnded: (error) => end(error.message),
};

async function openWard(button) {
  const { ward } = button.dataset;
  if (wards.has(ward)) {
    wards.get(ward).show();
    return;
  }
  button.disabled = true;
  const opened = await connection.subscribe(ward);
  button.disabled = false;
  button.classList.toggle('denied', !opened);
}

async function leaveWard(ward) {
  closeWard(ward);
  await connection.leave(ward).catch((error) => logEvent('bad', error.message));
}

function closeWard(ward) {
  wards.get(ward)?.remove();
  wards.delete(ward);
  alarms.forget(ward);
  showWards();
}

async function requestCut() {
  logEvent('warning', 'Asking the server to cut this connection');
  await cutConnection(connection.connectionId).catch((error) => logEvent('bad', `Not cut: ${error.message}`));
}

async function order(event) {
  event.preventDefault();
  const drug = byId('order-drug').value.trim();
  const result = byId('order-result');
  try {
    const { number, patientName } = await connection.order(byId('order-patient').value, drug);
    result.textContent = `Order ${number}: ${drug} for ${patientName}.`;
    result.dataset.kind = 'good';
    byId('order-drug').value = '';
  } catch (error) {
    result.textContent = error.message;
    result.dataset.kind = 'bad';
  }
}

function chooseFor(patientId) {
  byId('order-patient').value = patientId;
  byId('order-drug').focus();
}

function showPerson({ name, role, department }) {
  clearLists();
  updates = 0;
  refreshes = 0;
  byId('updates').textContent = '0';
  byId('order-result').textContent = '';
  byId('initials').textContent = name.split(' ').map((word) => word[0]).join('');
  byId('signed-in-as').replaceChildren(
    element('strong', { text: name }),
    element('span', { text: role === 'Admin' ? 'Administrator' : `${role}, ${department}` }),
  );
  byId('audit-panel').hidden = role !== 'Admin';
  document.querySelectorAll('[data-ward]').forEach((button) => button.classList.remove('denied'));
  document.body.classList.add('is-signed-in');
  logEvent('plain', `Signed in as ${name}`);
}

function showWards() {
  byId('no-ward').hidden = wards.size > 0;
  for (const button of document.querySelectorAll('[data-ward]')) {
    button.setAttribute('aria-pressed', String(wards.has(button.dataset.ward)));
  }
  byId('subscriptions').replaceChildren(...[...wards.keys()].map(subscription));
  const patients = byId('order-patient');
  const chosen = patients.value;
  patients.replaceChildren(
    ...[...wards.values()].flatMap((ward) =>
      ward.patients.map(({ id, bed, name }) => element('option', { value: id, text: `${bed}  ${name}` })),
    ),
  );
  if ([...patients.options].some((option) => option.value === chosen)) patients.value = chosen;
}

function subscription(ward) {
  const leave = element('button', { type: 'button', 'aria-label': `Leave ${ward}`, title: `Leave ${ward}`, text: '×' });
  leave.addEventListener('click', () => leaveWard(ward));
  return element('li', {}, element('span', { text: ward }), leave);
}

function showState(state, connectionId = '') {
  byId('connection-state').textContent = state;
  byId('connection-id').textContent = connectionId;
  byId('cut-connection').disabled = state !== 'Connected';
  document.body.dataset.connection = state.toLowerCase();
}

function showProblem(text) {
  byId('sign-in-problem').textContent = text;
  byId('sign-in-problem').hidden = false;
}

/**
 * Runs once a second: updates the clock, the lifetime of the token and the durations of the alarms.
 */
function tick() {
  byId('clock').textContent = timeOfDay();
  alarms.render();
  const token = tokenState();
  if (!token) return;
  byId('token-left').textContent = token.left > 0 ? minutes(token.left) : 'expired';
  byId('token-ring').style.setProperty('--left', String(token.left / token.lifetime));
  if (token.refreshes > refreshes) logEvent('good', 'The access token was refreshed');
  refreshes = token.refreshes;
  // Refreshes the token in time for a reconnect. While the connection is lost, the client requests
  // a token itself.
  if (token.isExpiringSoon && connection?.connectionId) {
    accessToken().catch((error) => (error instanceof SessionEnded ? end(error.message) : logEvent('bad', error.message)));
  }
}
