// The lists beside the wards: alarms, refusals, the audit and the event log.

import { byId, element, minutes, timeOfDay } from './dom.js';

const LOG_LENGTH = 100;
const REFUSALS_LENGTH = 30;

/** What happened, newest first. `kind` is plain, good, warning or bad. */
export function logEvent(kind, text) {
  prepend(
    byId('event-log'),
    element('li', { class: kind }, element('time', { class: 'mono', text: timeOfDay() }), element('span', { text })),
    LOG_LENGTH,
  );
}

/** What the server refused to this person. */
export function listRefusal(what, why) {
  prepend(byId('refusals'), refusal(timeOfDay(), what, why), REFUSALS_LENGTH);
}

/** What the server refused to anybody, as administrators are told. */
export function listAudit({ at, who, role, what, why }) {
  prepend(byId('audit'), refusal(timeOfDay(new Date(at)), `${who} (${role}): ${what}`, why), REFUSALS_LENGTH);
}

export function clearLists() {
  for (const id of ['alarms', 'refusals', 'audit', 'event-log']) byId(id).replaceChildren();
}

/** The alarms of the open wards, kept until their cause is gone. */
export class Alarms {
  /** By patient and sign: what the server says of it, where, and since when. */
  #active = new Map();

  /** Takes over what an update of one ward says; reports what began and what ended. */
  update(ward, patients, vitals) {
    const names = new Map(patients.map((patient) => [patient.id, patient]));
    const now = new Set();
    for (const { patient: id, alarms } of vitals.patients) {
      for (const alarm of alarms) {
        const key = `${ward} ${id} ${alarm.sign}`;
        now.add(key);
        this.#set(key, { ...alarm, ward, patient: names.get(id) });
      }
    }
    for (const [key, alarm] of this.#active) if (alarm.ward === ward && !now.has(key)) this.#end(key, alarm);
    this.render();
  }

  /** A ward is not watched any more, so nothing is known of its alarms. */
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
    bubble(byId('alarm-count'), alarms);
    for (const button of document.querySelectorAll('[data-ward]')) {
      bubble(button.querySelector('.bubble'), alarms.filter((alarm) => alarm.ward === button.dataset.ward));
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

function refusal(at, what, why) {
  return element(
    'li',
    { class: 'refusal' },
    element('strong', { text: what }),
    element('time', { class: 'mono', text: at }),
    element('span', { text: why }),
  );
}

function bubble(place, alarms) {
  place.hidden = alarms.length === 0;
  place.textContent = String(alarms.length);
  place.dataset.level = alarms.some((alarm) => alarm.level === 'critical') ? 'critical' : 'warning';
  place.setAttribute('aria-label', `${alarms.length} alarms`);
}

function prepend(list, item, length) {
  list.prepend(item);
  while (list.children.length > length) list.lastElementChild.remove();
}
