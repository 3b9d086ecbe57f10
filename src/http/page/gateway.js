// The gateway's state: whether it is ready, rates, endpoints with their keys,
// and the store. Polled whatever view is shown, for the head of the page.

import { call, Poll, ApiError } from './api.js';
import { byId, facts, h, setText, showText } from './dom.js';
import { agoOf, badge, formatBytes, formatCount, formatDuration, formatRate, seconds, timeOf } from './format.js';
import { plot, rateOf, spark } from './plot.js';

const POLL_MS = 5000;

function endpointCard(endpoint, now) {
  const keys = (endpoint.keys ?? []).map((key) =>
    h('li', {}, h('code', {}, key.fingerprint),
      ...(key.lastVerifiedAt ? [` signed ${formatCount(key.verified)}, the last `, agoOf(key.lastVerifiedAt, now)] : [' signed none since the start'])));
  return h('section', { class: 'card' },
    h('div', { class: 'bar' },
      h('h4', {}, endpoint.name),
      endpoint.verificationFailing ? badge(['No webhook is authentic'], 'bad') : null),
    facts([
      ['Last delivery', agoOf(endpoint.lastAcceptedAt, now)],
      ['Last request', agoOf(endpoint.lastRequestAt, now)],
      ['Keys in use', keys.length > 0 ? h('ul', { class: 'keys' }, ...keys) : 'none'],
    ]));
}

function storeFacts(store) {
  const size = Number(store.sizeBytes ?? 0);
  const limit = Number(store.maxSizeBytes ?? 0);
  const share = limit > 0 ? `${formatBytes(size)} of ${formatBytes(limit)}; beyond that the oldest events are removed` : `${formatBytes(size)}, without a limit`;
  return facts([
    ['Size', share],
    ['Filled', limit > 0 ? h('meter', { min: 0, max: limit, value: size, 'aria-label': 'Store size' }) : null],
    ['Kept for', store.maxAge ? formatDuration(seconds(store.maxAge)) : 'ever'],
    ['Oldest event', timeOf(store.oldestStoredAt) ?? 'none'],
    ['Newest sequence', formatCount(store.lastSequence)],
    ['Removed up to', formatCount(store.trimmedThrough)],
  ]);
}

export class Gateway {
  #poll = new Poll(() => this.#update(), POLL_MS);
  #startedAt = null;
  #onRestart;
  #onEndpoints;

  constructor({ onRestart, onEndpoints }) {
    this.#onRestart = onRestart;
    this.#onEndpoints = onEndpoints;
  }

  start() { this.#poll.start(); }
  now() { this.#poll.now(); }

  async #update() {
    let gateway;
    try {
      gateway = await call('GatewayService/GetGateway', { includeRates: true });
    } catch (error) {
      if (error instanceof ApiError && error.status !== 0) showText(byId('gateway-error'), error.message);
      throw error;
    }
    showText(byId('gateway-error'), null);
    this.#showState(gateway);
    this.#showRates(gateway.rates ?? [], Date.parse(gateway.now));
    const endpoints = gateway.endpoints ?? [];
    byId('endpoints').replaceChildren(...endpoints.map((endpoint) => endpointCard(endpoint, gateway.now)));
    byId('store').replaceChildren(storeFacts(gateway.store ?? {}));
    this.#onEndpoints(endpoints.map(({ name }) => name));
    if (this.#startedAt !== null && this.#startedAt !== gateway.startedAt) this.#onRestart();
    this.#startedAt = gateway.startedAt;
  }

  #showState(gateway) {
    const state = byId('state');
    state.dataset.tone = gateway.ready ? 'good' : 'bad';
    setText(state, gateway.ready ? 'Ready' : `Not ready: ${gateway.notReadyReason}`);
    byId('gateway-since').replaceChildren(`Version ${gateway.version}, serving since `, timeOf(gateway.startedAt) ?? 'just now');
    setText(byId('tile-subscribers'), formatCount(gateway.subscribers));
    setText(byId('tile-store'), `store ${formatBytes(gateway.store?.sizeBytes)}`);
  }

  #showRates(points, now) {
    for (const name of ['accepted', 'refused', 'delivered']) {
      setText(byId(`tile-${name}`), formatRate(rateOf(points.at(-1), name)));
      byId(`spark-${name}`).replaceChildren(spark(points, name, now));
    }
    byId('plot-in').replaceChildren(plot(points, ['accepted', 'duplicates', 'refused'], now));
    byId('plot-out').replaceChildren(plot(points, ['delivered'], now));
  }
}
