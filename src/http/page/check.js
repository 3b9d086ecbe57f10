// "Did it arrive?": what came in of something, and to whom it went.

import { call, ApiError } from './api.js';
import { byId, h, setText, showText, stackedRow, stackedTable } from './dom.js';
import { badge, filterText, formatCount, outcomeOf, timeOf, timestampOf } from './format.js';

const STREAMS = [['Stream of'], ['State'], ['Filter', 'filter'], ['From', 'mono']];

function stateOf(handover) {
  if (handover.handedOverAt) return badge(['Handed over ', timeOf(handover.handedOverAt)], 'good');
  return handover.streamEndedAt ? badge(['Not before its end ', timeOf(handover.streamEndedAt)], 'bad') : badge(['Not yet'], 'warn');
}

function wayOut(handovers, truncated) {
  if (handovers.length === 0) return truncated ? null : h('p', { class: 'quiet' }, 'No stream that wants it has been open since.');
  const { table, body } = stackedTable(STREAMS, 'Streams that it went to, or is to go to');
  body.append(...handovers.map((handover) =>
    stackedRow(STREAMS, [handover.principal, stateOf(handover), filterText(handover), handover.remoteAddress ?? ''], `stream ${handover.streamId}`)));
  return h('div', { class: 'scroll', role: 'region', tabindex: '0', 'aria-label': 'Streams' }, table);
}

function wayIn(deliveries, open) {
  return h('ul', {}, ...deliveries.map((delivery) => {
    const { label, tone } = outcomeOf(delivery);
    const button = h('button', { type: 'button', class: 'row', 'aria-haspopup': 'dialog', click: () => open(delivery, button) }, timeOf(delivery.receivedAt));
    return h('li', {}, button, ' ', badge([label], tone), ` from ${delivery.remoteAddress ?? 'somewhere'}`);
  }));
}

function found({ event, deliveries, handovers, handoversTruncated }, open) {
  return h('section', { class: 'card found' },
    h('h3', {}, event.typeName || 'An event of no type', ' ', h('span', { class: 'quiet' }, timeOf(event.receivedAt), `, sequence ${event.sequence}`)),
    h('h4', {}, 'In'), wayIn(deliveries ?? [], open),
    h('h4', {}, 'Out'), wayOut(handovers ?? [], handoversTruncated),
    handoversTruncated ? h('p', { class: 'quiet' }, 'There can be more streams than are shown.') : null);
}

function refusedSummary(refused, truncated, open) {
  if (refused.length === 0 && !truncated) return null;
  return h('section', { class: 'card found' },
    h('h3', {}, 'Refused in that time'),
    h('p', { class: 'quiet' }, 'Whose these were is not known: nothing that is not authentic is looked into.'),
    h('ul', {}, ...refused.map((group) => {
      const { label, tone } = outcomeOf(group);
      const button = h('button', { type: 'button', class: 'row', 'aria-haspopup': 'dialog', click: () => open(group.last, button) }, timeOf(group.last?.receivedAt) ?? 'then');
      return h('li', {}, badge([label], tone), ` ${formatCount(group.recorded)} at ${group.endpoint || 'no endpoint'}, the last `, button);
    })),
    truncated ? h('p', { class: 'quiet' }, 'There are more than were counted; ask about a shorter time.') : null);
}

export class Check {
  #form = byId('check-form');
  #result = byId('check-result');
  #open;
  #question = 0;
  // Ids of the events that are shown.
  #shown = new Set();

  // `open(delivery, opener)` shows one.
  constructor(open) {
    this.#open = open;
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#ask();
    });
  }

  // `kind` is a field of CheckDeliveryRequest's subject.
  look(kind, id) {
    this.#form.reset();
    this.#form.elements.kind.value = kind;
    this.#form.elements.id.value = id;
    this.#ask();
  }

  #ask() {
    const { kind, id, since, until } = this.#form.elements;
    const request = { [kind.value]: id.value.trim() };
    if (since.value) request.since = timestampOf(since.value);
    if (until.value) request.until = timestampOf(until.value);
    this.#result.replaceChildren();
    this.#shown.clear();
    this.#search(request, ++this.#question);
  }

  // Adds to what was found before.
  async #search(request, question) {
    showText(byId('check-error'), null);
    const waiting = h('p', { class: 'quiet' }, 'Looking…');
    this.#result.append(waiting);
    try {
      const answer = await call('DeliveryService/CheckDelivery', request);
      if (question === this.#question) this.#show(answer, request, question);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (question === this.#question) showText(byId('check-error'), error.message);
    } finally {
      waiting.remove();
    }
  }

  #show(answer, request, question) {
    // Where two answers part within one moment, some come again.
    const events = (answer.events ?? []).filter(({ event }) => !this.#shown.has(event.id));
    for (const { event } of events) this.#shown.add(event.id);
    const count = this.#shown.size;
    const summary = count === 0 ? 'Nothing of it arrived' : `${formatCount(count)} ${count === 1 ? 'event' : 'events'} arrived`;
    setText(byId('announce'), summary);
    this.#result.append(
      h('p', {}, h('strong', {}, summary), ' between ', timeOf(answer.searchedSince) ?? 'the beginning', ' and ', timeOf(answer.searchedUntil) ?? 'now', '.'),
      ...events.map((event) => found(event, this.#open)));
    const refused = refusedSummary(answer.refused ?? [], answer.refusedTruncated, this.#open);
    if (refused) this.#result.append(refused);
    // It cannot go on from there if one moment holds more than an answer.
    if (!answer.truncated || answer.searchedUntil === answer.searchedSince) return;
    const more = h('button', { type: 'button', click: () => {
      more.remove();
      this.#search({ ...request, since: answer.searchedUntil }, question);
    } }, 'Look further on');
    this.#result.append(more);
  }
}
