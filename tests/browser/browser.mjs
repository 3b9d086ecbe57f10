// What the browser tests share: Chromium, the servers under test, and a page
// that no test may leave with an error behind.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const directory = process.env.WAGGLE_TEST_BROWSER_DIRECTORY;
const { chromium } = createRequire(join(directory, '/'))('playwright-core');
const screenshots = join(directory, 'screenshots');
mkdirSync(screenshots, { recursive: true });

export const PATIENCE_MS = 30_000;
export const WIDE = { width: 1280, height: 800 };
export const NARROW = { width: 360, height: 740 };

export function launch() {
  return chromium.launch({
    executablePath: process.env.WAGGLE_TEST_CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
}

// page_server.cc. `port` 0 lets the system choose.
export async function startPageServer({ rate = 1000, open = true, port = 0 } = {}) {
  const server = spawn(process.env.WAGGLE_TEST_PAGE_SERVER, [String(port), String(rate), open ? 'open' : 'closed'],
    { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => { server.once('exit', resolve); });
  const line = await new Promise((resolve) => { createInterface(server.stdout).once('line', resolve); });
  return {
    port: Number(line),
    url: `http://127.0.0.1:${Number(line)}/`,
    stop: () => {
      server.stdin.end();
      return ended;
    },
  };
}

// Opens the page; `finish` fails the test if anything went wrong in it, but for
// messages that match `expected`.
export async function openPage(browser, url, { expected = /^$/, ...options } = {}) {
  const context = await browser.newContext({ viewport: WIDE, ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const errors = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') errors.push(message.text());
  });
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== new URL(url).origin) errors.push(`asked elsewhere: ${request.url()}`);
  });
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));
  });
  await page.goto(url);
  const finish = async () => {
    await context.close();
    assert.deepEqual(errors.filter((error) => !expected.test(error)), []);
  };
  return { page, finish };
}

// For people to look at.
export const shoot = (page, name) => page.screenshot({ path: join(screenshots, `${name}.png`) });

export const rows = (page) => page.locator('#deliveries-rows tr');

// Waits until the page's `read` gives what `accept` takes, and returns it.
export async function eventually(read, accept) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const value = await read();
    if (accept(value)) return value;
    assert.ok(Date.now() < deadline, `waited in vain; the last value was ${JSON.stringify(value)}`);
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}

// Puts the focus on the newest row with this text, from when on the list stands
// still. A row that has gone before does not take it, so it is tried again.
export async function focusRow(page, text) {
  const button = rows(page).filter({ hasText: text }).first().getByRole('button');
  await eventually(() => button.evaluate((element) => {
    element.focus();
    return document.activeElement === element;
  }), Boolean);
}

export async function openRow(page, text) {
  await focusRow(page, text);
  await page.keyboard.press('Enter');
}

export const newestId = (page) => rows(page).first().getAttribute('data-id').then(Number);
