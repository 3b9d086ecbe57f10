// The delivery log: live, or searched page by page.
//
// However fast deliveries come, each poll asks for one page of the newest, and
// the list holds one page: what is left out is counted and can be searched for.
// While somebody is in the list, by pointer or keyboard, it stands still.

import { call, Poll, ApiError } from './api.js';
import { byId, h, setText, showText } from './dom.js';
import { badge, formatBytes, formatCount, formatDuration, outcomeChoices, outcomeOf, seconds, timeOf, timestampOf } from './format.js';

const PAGE_SIZE = 100;
const POLL_MS = 1000;
const ANNOUNCE_MS = 15_000;
const MOST_MARKED = 10;

const durationOf = (delivery) =>
  seconds(delivery.readDuration) + seconds(delivery.verifyDuration) + seconds(delivery.commitDuration);

function rowOf(delivery, fresh) {
  const outcome = outcomeOf(delivery);
  const what = outcome.stored ? delivery.typeName || 'an event of no type' : outcome.reason;
  const cell = (style, title, ...content) => h('td', { role: 'cell', class: style, title }, ...content);
  const text = (style, value) => cell(style, value, value);
  return h('tr', { role: 'row', class: fresh ? 'openable fresh' : 'openable', 'data-id': delivery.id },
    cell('', undefined, h('button', { type: 'button', class: 'row', 'aria-haspopup': 'dialog' }, timeOf(delivery.receivedAt, { milliseconds: true }))),
    cell('', undefined, badge([outcome.label], outcome.tone)),
    text(outcome.stored ? 'what' : 'what reason', what),
    text('wide mono', delivery.endpoint || delivery.path || ''),
    text('wider mono', delivery.connectorId ?? ''),
    text('wider mono', delivery.remoteAddress ?? ''),
    cell('wide number', undefined, formatBytes(delivery.sizeBytes)),
    cell('wide number', undefined, formatDuration(durationOf(delivery))));
}

export class Deliveries {
  #open;
  #poll = new Poll(() => this.#update(), POLL_MS);
  #body = byId('deliveries-rows');
  #form = byId('search');

  // What is searched for: a DeliveryFilter.
  #filter = {};
  // The pages that were turned to, each older than the one before: {filter,
  // token, below}.
  #pages = [];
  // The page after the one that is shown: as in #pages; {} if it has to be found
  // by time; null if there is none.
  #next = null;
  // Changes with what is asked for, so that answers to earlier questions are
  // dropped.
  #question = 0;
  // Everything up to this id was seen; null before the first answer.
  #seen = null;
  #shown = [];
  #pending = [];
  #pendingCount = 0;
  #paused = false;
  #pointedAt = false;

  #arrived = 0;
  #refused = 0;
  #announcedAt = Date.now();

  // `open(delivery, opener)` shows one.
  constructor(open) {
    this.#open = open;
    this.#form.elements.outcome.append(...outcomeChoices().map(([value, label]) => h('option', { value }, label)));
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#ask(this.#filterOfForm());
    });
    this.#form.addEventListener('reset', () => this.#ask({}));
    this.#body.addEventListener('click', (event) => this.#onClick(event));
    this.#body.addEventListener('pointerenter', (event) => { this.#pointedAt = event.pointerType === 'mouse'; });
    this.#body.addEventListener('pointerleave', () => {
      this.#pointedAt = false;
      this.#release();
    });
    this.#body.addEventListener('focusout', () => setTimeout(() => this.#release()));
    byId('detail').addEventListener('close', () => setTimeout(() => this.#release()));
    byId('deliveries-pause').addEventListener('click', () => this.#pause(!this.#paused));
    byId('older').addEventListener('click', () => this.#turnOlder());
    byId('newer').addEventListener('click', () => this.#turnNewer());
  }

  start() { this.#poll.start(); }
  stop() { this.#poll.stop(); }

  // Begins anew. The log may be another one, or who looks at it: what is listed
  // goes at once, so that no row is opened that the answer is about to replace.
  reset() {
    this.#shown = [];
    this.#show(0);
    this.#ask(this.#filter);
  }

  setEndpoints(names) {
    const select = this.#form.elements.endpoint;
    const known = new Set([...select.options].map((option) => option.value));
    select.append(...names.filter((name) => !known.has(name)).map((value) => h('option', { value }, value)));
  }

  // All deliveries of one event.
  searchEvent(id) {
    this.#form.reset();
    this.#form.elements.event.value = id;
    byId('search-box').open = true;
    this.#ask({ eventIds: [id] });
  }

  #filterOfForm() {
    const { since, until, endpoint, outcome, connector, type, event } = this.#form.elements;
    const filter = {};
    if (since.value) filter.since = timestampOf(since.value);
    if (until.value) filter.until = timestampOf(until.value);
    if (endpoint.value) filter.endpoints = [endpoint.value];
    if (outcome.value) filter.outcomes = [outcome.value];
    if (connector.value.trim()) filter.connectorIds = [connector.value.trim()];
    if (type.value.trim()) filter.typeNames = [type.value.trim()];
    if (event.value.trim()) filter.eventIds = [event.value.trim()];
    return filter;
  }

  get #filtered() { return Object.keys(this.#filter).length > 0; }
  get #live() { return this.#pages.length === 0 && !this.#filter.until && !this.#paused; }
  get #held() {
    return this.#pointedAt || this.#body.contains(document.activeElement) || byId('detail').open;
  }

  #ask(filter) {
    this.#filter = filter;
    this.#pages = [];
    this.#restart();
  }

  // Asks for the page that #pages ends with, and forgets what is shown.
  #restart() {
    ++this.#question;
    this.#seen = null;
    // Which page is the next is not known before the answer.
    this.#next = null;
    byId('older').disabled = true;
    this.#pending = [];
    this.#pendingCount = 0;
    showText(byId('deliveries-more'), null);
    this.#poll.now();
  }

  async #update() {
    if (this.#seen !== null && !this.#live) return;
    const question = this.#question;
    try {
      const more = this.#seen === null ? await this.#load() : await this.#follow();
      if (question !== this.#question) return;
      more();
      showText(byId('deliveries-error'), null);
    } catch (error) {
      if (error instanceof ApiError && question === this.#question && error.status !== 0) {
        showText(byId('deliveries-error'), error.message);
      }
      throw error;
    }
    this.#describe();
  }

  // The methods that ask return what is to be done with the answer, if it is
  // still wanted.
  async #load() {
    const page = this.#pages.at(-1);
    const filter = page?.filter ?? this.#filter;
    const seen = await this.#newestId();
    const answer = await call('DeliveryService/ListDeliveries', { filter, pageSize: PAGE_SIZE, pageToken: page?.token ?? '' });
    return () => {
      const all = answer.deliveries ?? [];
      this.#shown = page?.below ? all.filter((delivery) => Number(delivery.id) < page.below) : all;
      this.#next = answer.nextPageToken ? { filter, token: answer.nextPageToken } : null;
      this.#seen = Math.max(seen, Number(all[0]?.id ?? 0));
      this.#show(0);
    };
  }

  async #follow() {
    const after = this.#seen;
    // Where few match, what was looked at once is not to be looked at again.
    const seen = this.#filtered ? await this.#newestId() : after;
    const answer = await call('DeliveryService/ListDeliveries', { filter: { ...this.#filter, afterId: String(after) }, pageSize: PAGE_SIZE });
    return () => {
      const fresh = answer.deliveries ?? [];
      const newest = Number(fresh[0]?.id ?? 0);
      this.#seen = Math.max(after, seen, newest);
      let left = null;
      if (answer.nextPageToken) {
        const count = newest - after;
        left = this.#filtered
          ? 'More come than this list can show; search finds the rest.'
          : `More come than this list can show: of the last ${formatCount(count)}, the newest ${fresh.length}. Search finds the rest.`;
      }
      showText(byId('deliveries-more'), left);
      this.#announce(fresh);
      this.#pending = [...fresh, ...this.#pending].slice(0, PAGE_SIZE);
      this.#pendingCount += this.#filtered ? fresh.length : Math.max(fresh.length, newest - after);
      if (!this.#held) this.#release();
    };
  }

  async #newestId() {
    const answer = await call('DeliveryService/ListDeliveries', { pageSize: 1 });
    return Number(answer.deliveries?.[0]?.id ?? 0);
  }

  // Shows what came while the list stood still.
  #release() {
    if (this.#pending.length === 0 || this.#held) return;
    const count = this.#pending.length;
    if (this.#shown.length + count > PAGE_SIZE) this.#next = {};
    this.#shown = [...this.#pending, ...this.#shown].slice(0, PAGE_SIZE);
    this.#pending = [];
    this.#pendingCount = 0;
    this.#show(count);
    this.#describe();
  }

  // Draws #shown, of which the first `fresh` are new.
  #show(fresh) {
    // More would be a flicker.
    const marked = fresh > 0 && fresh <= MOST_MARKED;
    const kept = fresh > 0 ? [...this.#body.rows].slice(0, this.#shown.length - fresh) : [];
    this.#body.replaceChildren(
      ...this.#shown.slice(0, this.#shown.length - kept.length).map((delivery) => rowOf(delivery, marked)), ...kept);
  }

  #describe() {
    let mode = 'Live';
    if (this.#pages.length > 0) mode = `Page ${this.#pages.length + 1}`;
    else if (this.#filter.until) mode = 'Found';
    else if (this.#paused) mode = 'Paused';
    else if (this.#pendingCount > 0) mode = `Stands still while you are in the list; ${formatCount(this.#pendingCount)} new`;
    setText(byId('deliveries-mode'), mode);
    let none = null;
    if (this.#shown.length === 0) {
      if (this.#next !== null) none = 'None in the part of the log that was looked at; Older looks further back.';
      else none = this.#filtered ? 'No delivery matches.' : 'No delivery yet. Each request to a webhook endpoint shows here.';
    }
    showText(byId('deliveries-none'), none);
    byId('deliveries-scroll').hidden = this.#shown.length === 0;
    byId('newer').disabled = this.#pages.length === 0;
    byId('older').disabled = this.#next === null;
    byId('deliveries-pause').hidden = this.#pages.length > 0 || Boolean(this.#filter.until);
  }

  #pause(paused) {
    this.#paused = paused;
    byId('deliveries-pause').setAttribute('aria-pressed', String(paused));
    this.#describe();
    this.#poll.now();
  }

  // Where the list has moved on since its token was given, the page after it is
  // found by time, less what the list shows.
  #turnOlder() {
    if (this.#next.token) {
      this.#pages.push(this.#next);
    } else {
      const oldest = this.#shown.at(-1);
      const until = new Date(Date.parse(oldest.receivedAt) + 1).toISOString();
      this.#pages.push({ filter: { ...this.#filter, until }, token: '', below: Number(oldest.id) });
    }
    this.#turned();
  }

  #turnNewer() {
    this.#pages.pop();
    this.#turned();
  }

  #turned() {
    this.#restart();
    byId('deliveries-title').focus();
  }

  #onClick(event) {
    const row = event.target.closest('tr');
    if (!row || String(document.getSelection())) return;
    const delivery = this.#shown.find(({ id }) => id === row.dataset.id);
    if (delivery) this.#open(delivery, row.querySelector('button'));
  }

  // For screen readers: now and then, how many came.
  #announce(fresh) {
    this.#arrived += fresh.length;
    this.#refused += fresh.filter((delivery) => !outcomeOf(delivery).stored).length;
    const now = Date.now();
    if (now - this.#announcedAt < ANNOUNCE_MS) return;
    if (this.#arrived > 0) {
      setText(byId('announce'), `${formatCount(this.#arrived)} more deliveries listed, ${formatCount(this.#refused)} of them refused`);
    }
    this.#announcedAt = now;
    this.#arrived = 0;
    this.#refused = 0;
  }
}
