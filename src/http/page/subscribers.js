// Who is connected, and how far each has come.

import { call, Poll, ApiError } from './api.js';
import { byId, setText, showText, stackedRow, stackedTable } from './dom.js';
import { badge, filterText, formatCount, formatDuration, formatRate, seconds, timeOf } from './format.js';

const POLL_MS = 2000;
const MOST = 200;
// Behind by more, a subscriber is worth a look.
const LATE_SECONDS = 10;

function behind(subscriber) {
  const events = Number(subscriber.lagEvents ?? 0);
  if (events === 0) return badge(['Has everything'], 'good');
  const age = seconds(subscriber.lagAge);
  return badge([`${formatCount(events)} events, ${formatDuration(age)}`], age > LATE_SECONDS ? 'bad' : 'warn');
}

const COLUMNS = [['Principal'], ['Behind'], ['Rate', 'number'], ['Filter', 'filter'], ['Position', 'number'],
  ['Handed over', 'number'], ['From', 'mono'], ['Since']];

const rowOf = (subscriber) =>
  stackedRow(COLUMNS, [
    subscriber.principal,
    behind(subscriber),
    `${formatRate(subscriber.deliveredPerSecond ?? 0)}/s`,
    filterText(subscriber) + (subscriber.includePayload ? '; with payloads' : ''),
    formatCount(subscriber.position),
    formatCount(subscriber.delivered),
    subscriber.remoteAddress ?? '',
    timeOf(subscriber.startedAt),
  ], `stream ${subscriber.streamId}`);

export class Subscribers {
  #poll = new Poll(() => this.#update(), POLL_MS);

  #table = stackedTable(COLUMNS, 'Subscribers');

  constructor() { byId('subscribers-table').append(this.#table.table); }

  start() { this.#poll.start(); }
  stop() { this.#poll.stop(); }

  async #update() {
    let answer;
    try {
      answer = await call('GatewayService/ListSubscribers', { maxSubscribers: MOST });
    } catch (error) {
      if (error instanceof ApiError && error.status !== 0) showText(byId('subscribers-error'), error.message);
      throw error;
    }
    showText(byId('subscribers-error'), null);
    const subscribers = answer.subscribers ?? [];
    this.#table.body.replaceChildren(...subscribers.map(rowOf));
    byId('subscribers-table').hidden = subscribers.length === 0;
    byId('subscribers-none').hidden = subscribers.length > 0;
    const total = answer.total ?? 0;
    setText(byId('subscribers-count'),
      total > subscribers.length ? `the ${subscribers.length} furthest behind of ${formatCount(total)}` : `${formatCount(total)}, the one furthest behind first`);
  }
}
