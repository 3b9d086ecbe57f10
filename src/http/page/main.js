// The operator's page: which view is shown, whether the gateway answers, and
// who is signed in.

import { events, hasToken, setToken } from './api.js';
import { byId, setText, showText } from './dom.js';
import { Check } from './check.js';
import { Deliveries } from './deliveries.js';
import { Detail } from './detail.js';
import { Gateway } from './gateway.js';
import { Subscribers } from './subscribers.js';

const open = (delivery, opener) => detail.open(delivery, opener);
const deliveries = new Deliveries(open);
const subscribers = new Subscribers();
const check = new Check(open);
const gateway = new Gateway({
  onRestart: () => deliveries.reset(),
  onEndpoints: (names) => deliveries.setEndpoints(names),
});
const detail = new Detail({
  trace: (kind, id) => {
    show('check', true);
    check.look(kind, id);
  },
  search: (eventId) => {
    show('deliveries', true);
    deliveries.searchEvent(eventId);
  },
});

// What to start and stop as views are shown and left.
const VIEWS = { deliveries, subscribers, gateway: null, check: null };
let shown = null;

function show(name, focus) {
  if (location.hash !== `#${name}`) history[shown === null ? 'replaceState' : 'pushState'](null, '', `#${name}`);
  if (name !== shown) {
    VIEWS[shown]?.stop();
    byId('detail').close();
    for (const view of Object.keys(VIEWS)) byId(`view-${view}`).hidden = view !== name;
    for (const link of document.querySelectorAll('nav a')) {
      if (link.hash === `#${name}`) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
    shown = name;
    document.title = `${byId(`${name}-title`).textContent} – Waggle`;
    VIEWS[name]?.start();
  }
  if (focus) byId(`${name}-title`).focus();
}

function follow() {
  const name = location.hash.slice(1);
  if (Object.hasOwn(VIEWS, name)) show(name, true);
}
// popstate comes with it, and would take the focus a second time.
window.addEventListener('hashchange', follow);

events.addEventListener('answered', () => showText(byId('trouble'), null));
events.addEventListener('silent', () => {
  const state = byId('state');
  state.dataset.tone = 'bad';
  setText(state, 'No answer');
  showText(byId('trouble'), 'The gateway does not answer. What is shown may be old; this page tries again by itself.');
});

const signIn = byId('sign-in');
const form = byId('sign-in-form');

function askForToken(why) {
  byId('sign-out').hidden = !hasToken();
  showText(byId('sign-in-why'), why);
  if (!signIn.open) signIn.showModal();
}

function use(token) {
  setToken(token);
  form.reset();
  signIn.close();
  setText(byId('sign-in-open'), token ? 'Signed in' : 'Sign in');
  gateway.now();
  deliveries.reset();
}

// Once, until the next attempt: whoever closes it wants to look around first.
let asked = false;
events.addEventListener('stranger', () => {
  const state = byId('state');
  state.dataset.tone = 'warn';
  setText(state, 'Sign in to see more');
  if (asked) return;
  asked = true;
  askForToken(hasToken() ? 'This token is not accepted, or not any more.' : null);
});
byId('sign-in-open').addEventListener('click', () => askForToken(null));
byId('sign-in-cancel').addEventListener('click', () => signIn.close());
// Nothing that was shown stays; the token is in memory only.
byId('sign-out').addEventListener('click', () => location.reload());
form.addEventListener('submit', (event) => {
  event.preventDefault();
  asked = false;
  use(form.elements.token.value.trim());
});

gateway.start();
show(Object.hasOwn(VIEWS, location.hash.slice(1)) ? location.hash.slice(1) : 'deliveries', false);
