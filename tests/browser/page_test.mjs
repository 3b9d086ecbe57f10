// The operator's page in Chromium, over a gateway with 1,000 deliveries a
// second (page_server.cc).

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  eventually, focusRow, launch, NARROW, newestId, openPage, openRow, rows, shoot, startPageServer, WIDE,
} from './browser.mjs';

const PAGE_SIZE = 100;
const VIEWS = ['Deliveries', 'Subscribers', 'Gateway', 'Did it arrive?'];

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

const view = (page, name) => page.getByRole('link', { name, exact: true }).click();
const openSearch = (page) => page.locator('summary').click();
const search = async (page, name, value) => {
  const field = page.locator(`#search [name=${name}]`);
  if (await field.evaluate((element) => element.tagName === 'SELECT')) await field.selectOption(value);
  else await field.fill(value);
  await page.getByRole('button', { name: 'Search' }).click();
};
const rowsOf = (page, text) => rows(page).filter({ hasText: text });

describe('with 1,000 deliveries a second', () => {
  let server;
  before(async () => { server = await startPageServer(); });
  after(() => server.stop());

  const onPage = (name, options, check) =>
    test(name, async () => {
      const { page, finish } = await openPage(browser, server.url, options);
      try {
        await check(page);
      } finally {
        await finish();
      }
    });

  onPage('updates by itself, and stays small and quick', {}, async (page) => {
    await rows(page).first().waitFor();
    const size = () => page.evaluate(() => document.querySelectorAll('*').length);
    const elements = [];
    const session = await page.context().newCDPSession(page);
    await session.send('Performance.enable');
    const busy = async () => {
      const { metrics } = await session.send('Performance.getMetrics');
      return metrics.find(({ name }) => name === 'TaskDuration').value;
    };
    const busyBefore = await busy();
    const begin = Date.now();
    for (let update = 0; update < 5; ++update) {
      const before = await newestId(page);
      await eventually(() => newestId(page), (id) => id > before);
      elements.push(await size());
      assert.ok(await rows(page).count() <= PAGE_SIZE);
    }
    assert.ok(Math.max(...elements) < 3000, `${elements} elements`);
    const share = (await busy() - busyBefore) / ((Date.now() - begin) / 1000);
    console.log(`the page's thread was busy ${Math.round(share * 100)} % of the time`);
    assert.match(await page.locator('#deliveries-more').textContent(), /of the last [\d,]+, the newest 100/);

    // It takes input meanwhile.
    await page.getByRole('button', { name: 'Pause' }).click();
    assert.equal(await page.locator('#deliveries-mode').textContent(), 'Paused');
    const paused = await newestId(page);
    await page.getByRole('button', { name: 'Pause' }).click();
    await eventually(() => newestId(page), (id) => id > paused);
  });

  onPage('stands still for who is in the list', {}, async (page) => {
    await rows(page).first().waitFor();
    await focusRow(page, '');
    const id = await newestId(page);
    await page.getByText('Stands still while you are in the list').waitFor();
    assert.equal(await newestId(page), id);
    await page.getByRole('button', { name: 'Pause' }).focus();
    await eventually(() => newestId(page), (newer) => newer > id);
    assert.equal(await page.locator('#deliveries-mode').textContent(), 'Live');
  });

  onPage('searches by each field, page by page', {}, async (page) => {
    await openSearch(page);
    await search(page, 'outcome', { label: 'Bad signature' });
    const others = rows(page).filter({ hasNotText: 'Bad signature' });
    await eventually(async () => await rows(page).count() > 0 && await others.count(), (count) => count === 0);
    assert.match(await rows(page).first().textContent(), /Not signed with a key of this endpoint/);

    const first = await rows(page).last().getAttribute('data-id');
    await page.getByRole('button', { name: 'Older' }).click();
    await page.getByText('Page 2').waitFor();
    await eventually(() => newestId(page), (id) => id < Number(first));
    assert.equal(await others.count(), 0);
    const second = await newestId(page);
    await page.getByRole('button', { name: 'Older' }).click();
    await eventually(() => newestId(page), (id) => id < second);
    await page.getByRole('button', { name: 'Newer' }).click();
    await eventually(() => newestId(page), (id) => id === second);
    await page.getByRole('button', { name: 'Newer' }).click();
    await eventually(() => newestId(page), (id) => id > second);

    await page.getByRole('button', { name: 'Clear' }).click();
    await eventually(() => others.count(), (count) => count > 0);
    for (const [name, value, text] of [
      ['endpoint', 'bindbee-eu', 'bindbee-eu'],
      ['type', 'connector_synced', 'connector_synced'],
      ['connector', '6f1d2c3b-4a59-4e68-9777-000000000003', '6f1d2c3b-4a59-4e68-9777-000000000003'],
    ]) {
      await search(page, name, value);
      const rest = rows(page).filter({ hasNotText: text });
      await eventually(async () => [await rows(page).count(), await rest.count()], ([all, wrong]) => all > 0 && wrong === 0);
      await page.getByRole('button', { name: 'Clear' }).click();
      await eventually(() => rest.count(), (count) => count > 0);
    }

    await openRow(page, 'Duplicate');
    await page.getByRole('button', { name: 'All deliveries of this event' }).click();
    await eventually(() => rows(page).count(), (count) => count > 0 && count <= 2);
    await rowsOf(page, 'Duplicate').waitFor();

    await page.getByRole('button', { name: 'Clear' }).click();
    await search(page, 'type', 'none_such');
    await page.getByText('None in the part of the log that was looked at').waitFor();
    const older = page.getByRole('button', { name: 'Older' });
    await eventually(async () => {
      if (await older.isEnabled()) await older.click();
      return page.getByText('No delivery matches.').isVisible();
    }, Boolean);
    await search(page, 'until', '2001-01-01T00:00:01');
    await page.getByText('Found').waitFor();
  });

  onPage('turns one page at a time', {}, async (page) => {
    await openSearch(page);
    await search(page, 'outcome', { label: 'Bad signature' });
    const others = rows(page).filter({ hasNotText: 'Bad signature' });
    await eventually(async () => [await rows(page).count(), await others.count()], ([all, wrong]) => all > 0 && wrong === 0);
    let answer;
    const asked = new Promise((resolve) => { answer = resolve; });
    await page.route('**/*.DeliveryService/ListDeliveries', async (route) => {
      await asked;
      await route.continue();
    });
    const older = page.getByRole('button', { name: 'Older' });
    await older.click();
    assert.ok(await older.isDisabled());
    answer();
    await eventually(() => older.isEnabled(), Boolean);
    await page.getByText('Page 2').waitFor();
  });

  onPage('shows an event beside its payload, and what is markup as text', {}, async (page) => {
    await openSearch(page);
    await search(page, 'type', '<img src=x onerror="document.title=\'bad\'">');
    const others = rows(page).filter({ hasNotText: /(Accepted|Duplicate).*<img src=x/ });
    await eventually(async () => [await rows(page).count(), await others.count()], ([all, wrong]) => all > 0 && wrong === 0);
    await openRow(page, '<img src=x');
    const dialog = page.getByRole('dialog');
    await dialog.getByText('"email":"ada@example.com"').waitFor();
    assert.match(await dialog.getByLabel('Decoded event').textContent(), /"integrationSlug": "bamboohr"/);
    assert.match(await dialog.getByLabel('Payload').textContent(), /Zoë 蜂/);
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Clear' }).click();
    await openRow(page, 'No endpoint');
    await dialog.getByText('/<img src=x').waitFor();
    await dialog.getByRole('button', { name: 'Close' }).click();
    await view(page, 'Subscribers');
    await page.getByRole('cell', { name: /type names: .*<img src=x/ }).waitFor();
    assert.equal(await page.locator('main img, dialog img').count(), 0);
    assert.notEqual(await page.title(), 'bad');
  });

  onPage('tells what became of a sync', {}, async (page) => {
    await view(page, 'Did it arrive?');
    await page.getByLabel('Its id').fill('sync-40');
    await page.keyboard.press('Enter');
    await page.getByRole('main').getByText('1 event arrived').waitFor();
    await page.getByRole('row', { name: /payroll.*Handed over/ }).waitFor();
    await page.getByRole('row', { name: /directory.*Not yet/ }).waitFor();
    await page.getByText('12 at bindbee').waitFor();
    await page.getByLabel('Its id').fill('nothing');
    await page.keyboard.press('Enter');
    await page.getByRole('main').getByText('Nothing of it arrived').waitFor();

    await view(page, 'Deliveries');
    await openRow(page, 'Accepted');
    await page.getByRole('button', { name: 'What became of this sync' }).click();
    await page.getByRole('main').getByText('1 event arrived').waitFor();
  });

  onPage('says what of a sync was too much, and goes on while it can', {}, async (page) => {
    await view(page, 'Did it arrive?');
    await page.getByLabel('Its id').fill('sync-0');
    await page.keyboard.press('Enter');
    await page.getByText('There can be more streams than are shown').waitFor();
    await page.getByText('There are more than were counted').waitFor();
    await page.getByRole('row', { name: /directory.*too large to show/ }).waitFor();
    await page.getByRole('button', { name: 'Look further on' }).click();
    await page.getByText('There are more than were counted').nth(1).waitFor();
    // What came again is not shown again, and from there nothing goes on.
    assert.equal(await page.getByRole('row', { name: /payroll/ }).count(), 1);
    assert.equal(await page.getByRole('button', { name: 'Look further on' }).count(), 0);
  });

  onPage('shows subscribers, endpoints, keys, the store and the rates', {}, async (page) => {
    await view(page, 'Subscribers');
    const late = page.getByRole('row', { name: /warehouse/ });
    await late.getByText('51,230 events').waitFor();
    await late.getByText('with payloads').waitFor();
    await view(page, 'Gateway');
    await page.getByText('5f70bf18a086').first().waitFor();
    await page.getByText('No webhook is authentic').waitFor();
    await page.getByText('1.3 GiB of 10 GiB').waitFor();
    await page.getByText('7 days').waitFor();
    const plot = page.getByRole('img', { name: /accepted: [\d.]+ a second now/ });
    assert.match(await plot.locator('path').first().getAttribute('d'), /^M[\d. ]+(L[\d. ]+){100,}/);
  });

  onPage('can be used with the keyboard alone', {}, async (page) => {
    await rows(page).first().waitFor();
    const focused = () => page.evaluate(() => {
      const element = document.activeElement;
      const style = getComputedStyle(element);
      return { text: element.textContent.trim().slice(0, 40), id: element.id, row: element.classList.contains('row'),
        outlined: style.outlineStyle !== 'none' && Number.parseFloat(style.outlineWidth) >= 2 };
    });
    const seen = [];
    for (let step = 0; step < 20; ++step) {
      await page.keyboard.press('Tab');
      const now = await focused();
      assert.ok(now.outlined, `the focus is not seen on ${JSON.stringify(now)}`);
      if (now.row) break;
      seen.push(now.text || now.id);
    }
    assert.deepEqual(seen, ['Skip to the content', 'Sign in', ...VIEWS, 'Pause', 'Search']);
    assert.ok((await focused()).row);
    const { text } = await focused();

    await page.keyboard.press('Enter');
    await page.getByRole('dialog', { name: 'Delivery' }).waitFor();
    await page.keyboard.press('Tab');
    assert.equal((await focused()).text, 'Close');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog', { name: 'Delivery' }).waitFor({ state: 'hidden' });
    assert.equal((await focused()).text, text, 'the focus returns to the row');
    await page.keyboard.press('Tab');
    assert.ok((await focused()).row);
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Shift+Tab');
    assert.equal((await focused()).text, 'Search');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.name), 'since');

    await page.getByRole('link', { name: 'Gateway' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Gateway' }).waitFor();
    assert.equal((await focused()).id, 'gateway-title');
    await page.goBack();
    await page.getByRole('heading', { name: 'Deliveries' }).waitFor();
  });

  onPage('takes the focus once for a view that is chosen', {}, async (page) => {
    await page.evaluate(() => {
      window.taken = 0;
      document.querySelector('#check-title').addEventListener('focus', () => { ++window.taken; });
      // Between the events of a choice somebody goes on, as to a field.
      window.addEventListener('popstate', () => document.activeElement.blur(), { once: true });
      window.settled = new Promise((resolve) => {
        window.addEventListener('hashchange', resolve, { once: true });
      });
    });
    await view(page, 'Did it arrive?');
    await page.evaluate(() => window.settled);
    assert.equal(await page.evaluate(() => window.taken), 1);
    await page.goBack();
    await page.getByRole('heading', { name: 'Deliveries' }).waitFor();
  });

  onPage('has landmarks, headings, names and tables for screen readers', {}, async (page) => {
    await rows(page).first().waitFor();
    for (const role of ['banner', 'main']) assert.equal(await page.getByRole(role).count(), 1, role);
    await page.getByRole('navigation', { name: 'Views' }).waitFor();
    await page.getByRole('heading', { level: 1, name: 'Waggle' }).waitFor();
    assert.equal(await page.getByRole('link', { name: 'Deliveries' }).getAttribute('aria-current'), 'page');
    for (const viewport of [WIDE, NARROW]) {
      await page.setViewportSize(viewport);
      const table = page.getByRole('table', { name: 'Deliveries' });
      await table.getByRole('columnheader', { name: 'Outcome' }).waitFor({ state: 'attached' });
      assert.ok(await table.getByRole('row').count() > 1);
      assert.ok(await table.getByRole('cell').count() > 3);
    }
    assert.equal(await page.getByRole('status').filter({ hasText: 'Ready' }).count(), 1);
    // What changes all the time is not read out.
    assert.equal(await page.locator('[aria-live] #deliveries-rows, [role=status] #deliveries-rows, #deliveries-more[role]').count(), 0);
    const nameless = await page.evaluate(() => [...document.querySelectorAll('input, select, button, meter')]
      .filter((element) => !element.labels?.length && !element.textContent.trim() && !element.ariaLabel).map((element) => element.outerHTML));
    assert.deepEqual(nameless, []);
  });

  onPage('is named, ordered and quiet in the accessibility tree', {}, async (page) => {
    const session = await page.context().newCDPSession(page);
    await session.send('Accessibility.enable');
    const check = async (where) => {
      const { nodes } = await session.send('Accessibility.getFullAXTree');
      const tree = nodes.filter((node) => !node.ignored).map(({ role, name, properties = [] }) => ({
        role: role.value,
        name: name.value,
        ...Object.fromEntries(properties.map((property) => [property.name, property.value.value])),
      }));
      const NAMED = ['RootWebArea', 'button', 'columnheader', 'combobox', 'DateTime', 'dialog', 'DisclosureTriangle', 'figure', 'form',
        'heading', 'image', 'link', 'meter', 'navigation', 'region', 'rowheader', 'table', 'textbox'];
      assert.deepEqual(tree.filter(({ role, name }) => NAMED.includes(role) && !name), [], where);
      const levels = tree.filter(({ role }) => role === 'heading').map(({ level }) => level);
      levels.forEach((level, i) => assert.ok(level <= (levels[i - 1] ?? level) + 1, `${where}: ${levels}`));
      // Whether the gateway answers, and now and then how many came; in the
      // dialog, the event. No numbers that change each second.
      assert.deepEqual(tree.filter(({ live, role }) => (live ?? 'off') !== 'off' && role !== 'alert').map(({ role }) => role),
        where === 'detail' ? ['region'] : ['status', 'status'], where);
      return new Set(tree.map(({ role }) => role));
    };

    const seen = new Set();
    const add = async (where) => { for (const role of await check(where)) seen.add(role); };
    for (const name of VIEWS) {
      await view(page, name);
      if (name === 'Deliveries') {
        await openSearch(page);
        await rows(page).first().waitFor();
      } else if (name === 'Subscribers') {
        await page.getByRole('table', { name }).waitFor();
      } else if (name === 'Gateway') {
        await page.getByRole('img').first().waitFor();
      } else {
        await page.getByLabel('Its id').fill('sync-40');
        await page.keyboard.press('Enter');
        await page.getByRole('main').getByText('1 event arrived').waitFor();
      }
      await page.getByRole('status').filter({ hasText: 'Ready' }).waitFor();
      await add(name);
    }
    await view(page, 'Deliveries');
    await openRow(page, 'Accepted');
    await page.getByLabel('Payload').waitFor();
    await add('detail');
    for (const role of ['table', 'figure', 'image', 'meter', 'dialog', 'combobox', 'textbox']) assert.ok(seen.has(role), role);
  });

  for (const colorScheme of ['light', 'dark']) {
    for (const [width, viewport] of [['wide', WIDE], ['narrow', NARROW]]) {
      onPage(`looks right in ${colorScheme}, ${width}`, { colorScheme, viewport, reducedMotion: 'reduce' }, async (page) => {
        const dark = colorScheme === 'dark';
        assert.equal(await page.evaluate(() => {
          const [red] = getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number);
          return red < 128;
        }), dark);
        for (const name of VIEWS) {
          await view(page, name);
          if (name === 'Did it arrive?') {
            await page.getByLabel('Its id').fill('sync-40');
            await page.keyboard.press('Enter');
            await page.getByRole('main').getByText('1 event arrived').waitFor();
          }
          await page.getByRole('status').filter({ hasText: 'Ready' }).waitFor();
          await shoot(page, `${name.replaceAll(/\W+/g, '-').toLowerCase()}-${colorScheme}-${width}`);
          await assertFits(page);
          await assertContrast(page);
        }
        await view(page, 'Deliveries');
        await openRow(page, 'Accepted');
        await page.getByLabel('Payload').waitFor();
        await shoot(page, `detail-${colorScheme}-${width}`);
        await assertFits(page);
        await assertContrast(page);
      });
    }
  }
});

// Nothing is to be scrolled sideways, but for tables in their frames.
async function assertFits(page) {
  const [needed, there] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(needed <= there, `${needed} pixels on a screen of ${there}`);
}

// WCAG 2.2 AA, 1.4.3: 4.5 to 1 for each text on what is painted behind it.
async function assertContrast(page) {
  const poor = await page.evaluate(() => {
    const channels = (color) => color.match(/[\d.]+/g).map(Number);
    const luminance = ([r, g, b]) => [r, g, b]
      .map((value) => value / 255)
      .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
      .reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = (element) => {
      for (let at = element; at; at = at.parentElement) {
        const color = channels(getComputedStyle(at).backgroundColor);
        if (color[3] !== 0) return color;
      }
      return [255, 255, 255];
    };
    const found = [];
    for (const element of document.querySelectorAll('body *')) {
      const hasText = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
      if (!hasText || !element.checkVisibility() || element.disabled || element instanceof SVGElement) continue;
      const lights = [luminance(channels(getComputedStyle(element).color)), luminance(ground(element))].sort((a, b) => b - a);
      const contrast = (lights[0] + 0.05) / (lights[1] + 0.05);
      if (contrast < 4.5) found.push(`${element.tagName} "${element.textContent.slice(0, 30)}" ${contrast.toFixed(2)}`);
    }
    return found;
  });
  assert.deepEqual(poor, []);
}

describe('a door that asks for credentials', () => {
  let server;
  before(async () => { server = await startPageServer({ rate: 5, open: false }); });
  after(() => server.stop());

  const signIn = async (page, token) => {
    await page.getByLabel('Token').fill(token);
    await page.getByLabel('Token').press('Enter');
  };
  // Chromium writes every answer from 400 up to its console.
  const refused = /Failed to load resource.*\b(401|403)\b/;

  test('takes a token, keeps it to itself, and shows what it may', async () => {
    const { page, finish } = await openPage(browser, server.url, { expected: refused });
    const dialog = page.getByRole('dialog', { name: 'Sign in' });
    await dialog.waitFor();
    assert.equal(await rows(page).count(), 0);
    await signIn(page, 'wrong');
    await dialog.getByText('This token is not accepted').waitFor();
    await signIn(page, 'operator');
    await dialog.waitFor({ state: 'hidden' });
    await openRow(page, 'Accepted');
    await page.getByRole('dialog').getByText('ada@example.com').first().waitFor();
    await page.keyboard.press('Escape');

    assert.ok(!page.url().includes('operator'));
    assert.deepEqual(await page.evaluate(() => [document.cookie, localStorage.length, sessionStorage.length]), ['', 0, 0]);
    await page.getByRole('button', { name: 'Signed in' }).click();
    const left = page.waitForEvent('load');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await left;
    await dialog.waitFor();
    assert.equal(await rows(page).count(), 0);
    assert.ok(!(await page.content()).includes('ada@example.com'));
    await finish();
  });

  test('whoever signs in opens no row that was listed for somebody else', async () => {
    const { page, finish } = await openPage(browser, server.url, { expected: refused });
    await signIn(page, 'reader');
    await rows(page).filter({ hasText: 'Accepted' }).first().waitFor();
    let answer;
    const asked = new Promise((resolve) => { answer = resolve; });
    await page.route('**/*.DeliveryService/ListDeliveries', async (route) => {
      await asked;
      await route.continue();
    });
    await page.getByRole('button', { name: 'Signed in' }).click();
    await signIn(page, 'operator');
    assert.equal(await rows(page).count(), 0);
    answer();
    await openRow(page, 'Accepted');
    await page.getByRole('dialog').getByText('ada@example.com').first().waitFor();
    await finish();
  });

  test('says why a payload is not shown, and shows the event', async () => {
    const { page, finish } = await openPage(browser, server.url, { expected: refused });
    await signIn(page, 'reader');
    await openRow(page, 'Accepted');
    const dialog = page.getByRole('dialog', { name: 'Delivery' });
    await dialog.getByText('Not shown: payloads take the capability "personal_data"').waitFor();
    assert.match(await dialog.getByLabel('Decoded event').textContent(), /"displayName": "BambooHR"/);
    assert.doesNotMatch(await dialog.textContent(), /ada@example\.com/);
    await finish();
  });

  test('says what somebody without rights lacks', async () => {
    const { page, finish } = await openPage(browser, server.url, { expected: refused });
    await signIn(page, 'nobody');
    await page.getByText('this takes the capability "deliveries" or "admin"').first().waitFor();
    assert.equal(await rows(page).count(), 0);
    await finish();
  });
});

test('a gateway that is gone is told of, and its return is seen', async (t) => {
  let server = await startPageServer({ rate: 50 });
  t.after(() => server.stop());
  const { page, finish } = await openPage(browser, server.url, { expected: /Failed to load resource: net::ERR_/ });
  await rows(page).first().waitFor();
  const { port } = server;
  await server.stop();
  await page.getByRole('alert').filter({ hasText: 'The gateway does not answer' }).waitFor();
  await page.getByRole('status').filter({ hasText: 'No answer' }).waitFor();
  // Another log, whose ids are smaller.
  server = await startPageServer({ rate: 2, port });
  await page.getByRole('status').filter({ hasText: 'Ready' }).waitFor();
  await page.getByRole('alert').filter({ hasText: 'The gateway does not answer' }).waitFor({ state: 'hidden' });
  const id = await eventually(() => newestId(page), (newest) => newest < 1000);
  await eventually(() => newestId(page), (newest) => newest > id);
  await finish();
});
