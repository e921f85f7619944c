// The section of an open ward, with a card for each patient.

import { Ecg, Trend } from './chart.js';
import { byId, element } from './dom.js';

const SIGNS = ['heartRate', 'spo2', 'bloodPressure', 'respiration', 'temperature'];

export class WardView {
  #section;
  #cards = new Map();

  /**
   * `ward` is the server's `WardOpened` message. `onLeave()` and `onOrder(patientId)` are called on
   * clicks.
   */
  constructor(ward, { onLeave, onOrder }) {
    this.id = ward.id;
    this.patients = ward.patients;
    const title = `ward-title-${ward.id}`;
    const leave = element('button', { class: 'button small', type: 'button', text: `Leave ${ward.id}` });
    leave.addEventListener('click', onLeave);
    const grid = element('div', { class: 'patients' });
    this.#section = element(
      'section',
      { class: 'ward', 'aria-labelledby': title },
      element(
        'header',
        {},
        element('h2', { id: title, text: ward.id }),
        element('p', { text: `${ward.name}, ${ward.patients.length} patients` }),
        leave,
      ),
      grid,
    );
    for (const patient of ward.patients) {
      const card = new PatientCard(patient, () => onOrder(patient.id));
      this.#cards.set(patient.id, card);
      grid.append(card.element);
    }
    byId('wards').append(this.#section);
  }

  /** Updates the trends after a reconnect, including the time without a connection. */
  refill(ward) {
    for (const { id, history } of ward.patients) this.#cards.get(id)?.refill(history);
  }

  update(vitals) {
    for (const signs of vitals.patients) this.#cards.get(signs.patient)?.update(signs);
  }

  show() {
    this.#section.scrollIntoView({ block: 'start' });
  }

  remove() {
    for (const card of this.#cards.values()) card.remove();
    this.#section.remove();
  }
}

class PatientCard {
  #ecg;
  #trend;
  #signs;
  #summary;

  constructor(patient, onOrder) {
    const card = byId('patient-card').content.firstElementChild.cloneNode(true);
    const find = (selector) => card.querySelector(selector);
    card.dataset.patient = patient.id;
    find('.bed').textContent = patient.bed;
    const name = find('h3');
    name.id = `name-${patient.id}`;
    name.textContent = patient.name;
    card.setAttribute('aria-labelledby', name.id);
    find('.name p').textContent = `${patient.sex}, ${patient.age} · ${patient.diagnosis}`;
    const order = find('button');
    order.setAttribute('aria-label', `Order a drug for ${patient.name}`);
    order.addEventListener('click', onOrder);
    this.element = card;
    this.#signs = Object.fromEntries(SIGNS.map((sign) => [sign, find(`[data-sign=${sign}]`)]));
    this.#summary = find('.summary');
    this.#ecg = new Ecg(find('.ecg'));
    this.#trend = new Trend(find('.trend'), patient.limits);
    this.#trend.fill(patient.history);
  }

  refill(history) {
    this.#trend.fill(history);
  }

  update(signs) {
    this.#show('heartRate', String(signs.heartRate));
    this.#show('spo2', String(signs.spo2));
    this.#show('bloodPressure', `${signs.systolic}/${signs.diastolic}`);
    this.#show('respiration', String(signs.respiration));
    this.#show('temperature', signs.temperature.toFixed(1));
    this.#ecg.push(signs.ecg);
    this.#trend.push({ heartRate: signs.heartRate, spo2: signs.spo2 });
    this.#alarm(signs.alarms);
  }

  remove() {
    this.#ecg.remove();
    this.#trend.remove();
  }

  #show(sign, text) {
    if (this.#signs[sign].textContent !== text) this.#signs[sign].textContent = text;
  }

  #alarm(alarms) {
    const level = (sign) => alarms.find((alarm) => alarm.sign === sign)?.level ?? '';
    for (const sign of SIGNS) this.#signs[sign].closest('.sign').dataset.level = level(sign);
    const worst = alarms.find((alarm) => alarm.level === 'critical') ?? alarms[0];
    this.element.dataset.level = worst?.level ?? '';
    this.#summary.textContent = alarms.map((alarm) => alarm.text).join(' · ') || 'Within limits';
  }
}
