// The lists beside the wards: alarms, denied actions, the audit and the event log.

import { byId, element, minutes, timeOfDay } from './dom.js';

const MAX_LOG_LENGTH = 100;
const MAX_DENIALS = 30;

/** Adds an event to the log, newest first. `kind` is plain, good, warning or bad. */
export function logEvent(kind, text) {
  prepend(
    byId('event-log'),
    element('li', { class: kind }, element('time', { class: 'mono', text: timeOfDay() }), element('span', { text })),
    MAX_LOG_LENGTH,
  );
}

/** Lists an action that the server denied to the user. */
export function listDenial(action, reason) {
  prepend(byId('refusals'), denialItem(timeOfDay(), action, reason), MAX_DENIALS);
}

/** Lists a denied action of any user; only administrators receive these. */
export function listAudit({ timeMs, user, role, action, reason }) {
  prepend(byId('audit'), denialItem(timeOfDay(new Date(timeMs)), `${user} (${role}): ${action}`, reason), MAX_DENIALS);
}

export function clearLists() {
  for (const id of ['alarms', 'refusals', 'audit', 'event-log']) byId(id).replaceChildren();
}

/** The active alarms of the open wards. */
export class Alarms {
  /** The alarms by ward, patient and sign, with the time of their start. */
  #active = new Map();

  /** Applies an update of one ward; logs alarms that start and end. */
  update(ward, patients, vitals) {
    const patientsById = new Map(patients.map((patient) => [patient.id, patient]));
    const activeKeys = new Set();
    for (const { patient: id, alarms } of vitals.patients) {
      for (const alarm of alarms) {
        const key = `${ward} ${id} ${alarm.sign}`;
        activeKeys.add(key);
        this.#set(key, { ...alarm, ward, patient: patientsById.get(id) });
      }
    }
    for (const [key, alarm] of this.#active) if (alarm.ward === ward && !activeKeys.has(key)) this.#end(key, alarm);
    this.render();
  }

  /** Removes the alarms of a ward that the user no longer watches. */
  forget(ward) {
    for (const [key, alarm] of this.#active) if (alarm.ward === ward) this.#active.delete(key);
    this.render();
  }

  clear() {
    this.#active.clear();
    this.render();
  }

  render() {
    const alarms = [...this.#active.values()].sort(
      (a, b) => (b.level === 'critical') - (a.level === 'critical') || b.since - a.since,
    );
    byId('alarms').replaceChildren(...alarms.map(alarmItem));
    showCount(byId('alarm-count'), alarms);
    for (const button of document.querySelectorAll('[data-ward]')) {
      showCount(button.querySelector('.badge'), alarms.filter((alarm) => alarm.ward === button.dataset.ward));
    }
  }

  #set(key, alarm) {
    const before = this.#active.get(key);
    this.#active.set(key, { ...alarm, since: before?.since ?? Date.now() });
    if (before?.level === alarm.level) return;
    const kind = alarm.level === 'critical' ? 'bad' : 'warning';
    logEvent(kind, `${alarm.patient.name} (${alarm.patient.bed}): ${alarm.text}`);
    if (alarm.level === 'critical') byId('announcer').textContent = `Critical: ${alarm.patient.name}, ${alarm.text}`;
  }

  #end(key, alarm) {
    this.#active.delete(key);
    logEvent('plain', `${alarm.patient.name} (${alarm.patient.bed}): ${alarm.name} back within its limits`);
  }
}

function alarmItem({ level, text, patient, ward, since }) {
  return element(
    'li',
    { class: 'alarm', 'data-level': level },
    element('strong', { text }),
    element('time', { class: 'mono', text: minutes((Date.now() - since) / 1000) }),
    element('span', { text: `${patient.name}, ${patient.bed}, ${ward}` }),
    element('b', { class: 'hidden', text: level }),
  );
}

function denialItem(time, action, reason) {
  return element(
    'li',
    { class: 'denial' },
    element('strong', { text: action }),
    element('time', { class: 'mono', text: time }),
    element('span', { text: reason }),
  );
}

function showCount(place, alarms) {
  place.hidden = alarms.length === 0;
  place.textContent = String(alarms.length);
  place.dataset.level = alarms.some((alarm) => alarm.level === 'critical') ? 'critical' : 'warning';
  place.setAttribute('aria-label', `${alarms.length} alarms`);
}

function prepend(list, item, length) {
  list.prepend(item);
  while (list.children.length > length) list.lastElementChild.remove();
}
