// Values of proto3's JSON, for people.

import { h } from './dom.js';

// By name, without the prefix: label, tone, and what it means.
const OUTCOMES = {
  ACCEPTED: ['Accepted', 'good', 'Stored as an event.'],
  DUPLICATE: ['Duplicate', 'same', 'Authentic, and its event was stored already.'],
  UNAUTHENTICATED: ['Bad signature', 'bad', 'Not signed with a key of this endpoint.'],
  NOT_FOUND: ['No endpoint', 'bad', 'The path names no endpoint.'],
  METHOD_NOT_ALLOWED: ['Wrong method', 'bad', 'Not a POST.'],
  TOO_LARGE: ['Too large', 'bad', 'The body is over the limit.'],
  HEADER_TOO_LARGE: ['Header too large', 'bad', 'The request line or the header is over its limit.'],
  MALFORMED: ['Malformed', 'bad', 'Not HTTP as it has to be, or an encoding that is not taken.'],
  TIMEOUT: ['Timed out', 'warn', 'The request was slower than its deadline.'],
  OVERLOADED: ['Overloaded', 'warn', 'Too many connections, or too much at once.'],
  UNAVAILABLE: ['Store unavailable', 'bad', 'Authentic, but the store could not take it.'],
  DRAINING: ['Draining', 'warn', 'The gateway was stopping.'],
  THROTTLED: ['Throttled', 'bad', 'Not authentic, from an address that had too many such.'],
  HANDSHAKE_FAILED: ['No TLS', 'bad', 'The client got no TLS, so no request came.'],
  ABORTED: ['Broken off', 'warn', 'The client closed the connection before its request was complete.'],
};
const PREFIX = 'DELIVERY_OUTCOME_';

export const outcomeChoices = () =>
  Object.entries(OUTCOMES).map(([name, [label]]) => [PREFIX + name, label]);

export function outcomeOf(delivery) {
  const name = String(delivery.outcome ?? 'UNSPECIFIED').replace(PREFIX, '');
  const [label, tone, reason] = OUTCOMES[name] ?? [name, 'warn', 'An outcome that this page does not know.'];
  return { label, tone, reason, stored: name === 'ACCEPTED' || name === 'DUPLICATE' };
}

export const badge = (content, tone) => h('span', { class: 'badge', 'data-tone': tone }, ...content);

const count = new Intl.NumberFormat();
export const formatCount = (value) => count.format(Number(value ?? 0));

const rate = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
export const formatRate = (value) => rate.format(value);

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
export function formatBytes(bytes) {
  let value = Number(bytes ?? 0);
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    ++unit;
  }
  return `${rate.format(value)} ${UNITS[unit]}`;
}

// Of proto3's JSON: "0.0012s".
export const seconds = (duration) => Number.parseFloat(duration ?? '0');

export function formatDuration(value) {
  if (value === 0) return '0 s';
  if (value < 0.001) return `${Math.max(1, Math.round(value * 1e6))} µs`;
  if (value < 1) return `${rate.format(value * 1e3)} ms`;
  if (value < 120) return `${rate.format(value)} s`;
  if (value < 7200) return `${Math.round(value / 60)} min`;
  if (value < 172_800) return `${rate.format(value / 3600)} h`;
  return `${rate.format(value / 86_400)} days`;
}

const CLOCK = { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' };
const DATE = { day: 'numeric', month: 'short', year: 'numeric' };
const MILLISECONDS = { fractionalSecondDigits: 3 };
const formats = [CLOCK, { ...CLOCK, ...MILLISECONDS }, { ...DATE, ...CLOCK }, { ...DATE, ...CLOCK, ...MILLISECONDS }]
  .map((options) => new Intl.DateTimeFormat(undefined, options));

// A <time>; without the date if that is today's, unless asked for.
export function timeOf(timestamp, { milliseconds = false, date = false } = {}) {
  if (!timestamp) return null;
  const at = new Date(timestamp);
  const dated = date || at.toDateString() !== new Date().toDateString();
  return h('time', { datetime: timestamp, title: timestamp }, formats[2 * Number(dated) + Number(milliseconds)].format(at));
}

// "12 s ago", by the gateway's clock.
export function agoOf(timestamp, now) {
  if (!timestamp) return 'never since the start';
  const age = Math.max(0, (new Date(now) - new Date(timestamp)) / 1000);
  return h('time', { datetime: timestamp, title: timestamp }, age < 1 ? 'just now' : `${formatDuration(Math.round(age))} ago`);
}

// The value of an <input type="datetime-local">, for the API.
export const timestampOf = (input) => (input ? new Date(input).toISOString() : undefined);

const words = (name) => name.replace(/([A-Z])/g, ' $1').toLowerCase();
const bare = (value) => String(value).replace(/^(EVENT_TYPE|CATEGORY|SYNC_TYPE|CONNECTOR_STATUS)_/, '');

// What a stream asked for.
// Of what has `filters`.
export function filterText({ filters, filtersOmitted }) {
  if (filtersOmitted) return 'too large to show';
  if (!filters?.length) return 'everything';
  return filters
    .map((filter) => {
      const fields = Object.entries(filter).map(([name, values]) => `${words(name)}: ${values.map(bare).join(', ')}`);
      return fields.length > 0 ? fields.join('; ') : 'everything';
    })
    .join(' — or — ');
}
