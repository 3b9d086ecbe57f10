// One delivery, and its event beside the payload that Bindbee signed.

import { call, ApiError } from './api.js';
import { byId, facts, h } from './dom.js';
import { badge, formatBytes, formatDuration, outcomeOf, seconds, timeOf } from './format.js';

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

const step = (name, duration) =>
  duration === undefined ? null : h('li', {}, `${name} `, h('strong', {}, formatDuration(seconds(duration))));

function factsOf(delivery) {
  const outcome = outcomeOf(delivery);
  const code = (text) => (text ? h('code', {}, text) : null);
  return facts([
    ['Outcome', h('span', {}, badge([outcome.label], outcome.tone), ` ${outcome.reason}`)],
    ['Received', timeOf(delivery.receivedAt, { milliseconds: true, date: true })],
    ['Answered', delivery.httpStatus ? `HTTP ${delivery.httpStatus}` : 'not at all'],
    ['Endpoint', delivery.endpoint],
    ['Path', code(delivery.path)],
    ['From', code(delivery.remoteAddress)],
    ['Size', formatBytes(delivery.sizeBytes)],
    ['Time taken', h('ul', { class: 'steps' }, step('read', delivery.readDuration), step('verify', delivery.verifyDuration), step('commit', delivery.commitDuration))],
    ['Signed with', code(delivery.keyFingerprint)],
    ['Event type', code(delivery.typeName)],
    ['Event id', code(delivery.eventId)],
    ['Sequence', delivery.sequence],
    ['Connector', code(delivery.connectorId)],
    ['Trace', code(delivery.traceparent)],
    ['Not recorded before it', delivery.unrecordedBefore ? `${delivery.unrecordedBefore} refused requests` : null],
    ['Delivery', delivery.id],
  ]);
}

// The event, and its payload or why there is none.
async function fetchEvent(id) {
  try {
    const { event } = await call('EventService/GetEvent', { id, includePayload: true });
    return { event, payload: new TextDecoder().decode(bytesOf(event.payload ?? '')) };
  } catch (error) {
    if (error.status !== 403) throw error;
    const { event } = await call('EventService/GetEvent', { id });
    return { event, refusal: error.message };
  }
}

export class Detail {
  #dialog = byId('detail');
  #opener = null;
  #delivery = null;
  #trace;
  #search;

  // `trace(kind, id)` asks what became of something, `search(eventId)` for all
  // deliveries of an event.
  constructor({ trace, search }) {
    this.#trace = trace;
    this.#search = search;
    byId('detail-close').addEventListener('click', () => this.#dialog.close());
    this.#dialog.addEventListener('click', (event) => {
      if (event.target === this.#dialog) this.#dialog.close();
    });
    this.#dialog.addEventListener('close', () => {
      (this.#opener?.isConnected ? this.#opener : byId('deliveries-title')).focus();
    });
  }

  async open(delivery, opener) {
    this.#opener = opener;
    this.#delivery = delivery;
    const event = h('div', { role: 'region', 'aria-label': 'Event', 'aria-live': 'polite' });
    byId('detail-body').replaceChildren(factsOf(delivery), event);
    this.#dialog.showModal();
    this.#dialog.scrollTop = 0;
    if (!delivery.eventId) return;
    event.append(h('p', { class: 'quiet' }, 'Fetching its event…'));
    let shown;
    try {
      shown = this.#sections(await fetchEvent(delivery.eventId));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      shown = [h('p', { class: 'problem' }, error.message)];
    }
    if (this.#delivery === delivery) event.replaceChildren(...shown);
  }

  #sections({ event, payload, refusal }) {
    const { payload: _, ...decoded } = event;
    const goTo = (label, action) => h('button', { type: 'button', click: () => {
      this.#dialog.close();
      action();
    } }, label);
    const buttons = [goTo('All deliveries of this event', () => this.#search(event.id))];
    if (event.sync?.id) buttons.push(goTo('What became of this sync', () => this.#trace('syncId', event.sync.id)));
    if (event.connector?.id) buttons.push(goTo('What became of this connector', () => this.#trace('connectorId', event.connector.id)));
    const text = (label, content) => h('pre', { tabindex: '0', role: 'region', 'aria-label': label }, content);
    return [
      h('div', { class: 'beside' },
        h('section', {}, h('h3', {}, 'Decoded'), text('Decoded event', JSON.stringify(decoded, null, 2))),
        h('section', {}, h('h3', {}, 'Payload, as signed'), refusal ? h('p', { class: 'note' }, `Not shown: ${refusal}`) : text('Payload', payload))),
      h('div', { class: 'buttons' }, ...buttons),
    ];
  }
}
