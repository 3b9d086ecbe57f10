// The operator's page of the real gateway: what the door took and refused is
// there, and so is who was handed it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { launch, openPage, openRow, rows } from './browser.mjs';

const KEY = 'whsec_browser_5d1f0c9b7a';
const TOKEN = 'waggle-browser-test-4f0a';
const SAMPLES = new URL('../../src/bindbee/samples/', import.meta.url);

const ACCESS = `
principals:
  - name: "warehouse"
    token_sha256: ["${createHash('sha256').update(TOKEN).digest('hex')}"]
    allow: {}
    capabilities: ["admin", "personal_data", "raw_payload"]
`;

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

const run = (args) => spawn(process.env.WAGGLE_TEST_BINARY, args, {
  stdio: ['ignore', 'pipe', 'pipe'],
  // Without what the program would take for its own settings.
  env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('WAGGLE_'))),
});
const end = (child) => new Promise((resolve) => {
  if (child.exitCode !== null) return resolve();
  child.once('exit', resolve);
  child.kill('SIGTERM');
});

// With an access file if `access` is set; until the test `t` ends.
async function startGateway(t, access, { maxStreamAge = '30m' } = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'waggle-browser-'));
  writeFileSync(join(directory, 'key'), KEY, { mode: 0o600 });
  writeFileSync(join(directory, 'access.yaml'), ACCESS, { mode: 0o600 });
  writeFileSync(join(directory, 'waggle.yaml'), `
webhook:
  listen: "127.0.0.1:0"
  endpoints:
    - name: "bindbee"
      signing_key_files: ["${join(directory, 'key')}"]
grpc: { listen: "127.0.0.1:0", max_stream_age: ${maxStreamAge} }
admin: { listen: "127.0.0.1:0" }
store: { path: "${join(directory, 'data')}" }
log: { format: json }
${access ? `security: { access_file: "${join(directory, 'access.yaml')}" }` : ''}
`);
  const gateway = run(['serve', '--config', join(directory, 'waggle.yaml')]);
  t.after(async () => {
    await end(gateway);
    rmSync(directory, { recursive: true });
  });
  const serving = await new Promise((resolve, reject) => {
    const log = [];
    gateway.once('exit', () => reject(new Error(`the gateway ended: ${log.join('\n')}`)));
    createInterface(gateway.stderr).on('line', (line) => {
      log.push(line);
      const entry = line.startsWith('{') ? JSON.parse(line) : {};
      if (entry.event === 'serving') resolve(entry);
    });
  });
  const post = (body, signature) => fetch(`http://${serving.webhook}/webhooks/bindbee`,
    { method: 'POST', body, headers: { 'X-Bindbee-Webhook-Signature': signature } });
  return {
    url: `http://${serving.admin}/`,
    grpc: serving.grpc,
    postUnsigned: () => post('{}', 'A'.repeat(43) + '='),
    postSample: async (name) => {
      const body = readFileSync(new URL(`${name}.json`, SAMPLES));
      const digest = createHmac('sha256', KEY).update(body).digest('base64url');
      const response = await post(body, digest.padEnd(44, '='));
      assert.equal(response.status, 200);
      return JSON.parse(body);
    },
  };
}

test('shows what came, what was refused, and to whom it went', async (t) => {
  const gateway = await startGateway(t, false);
  const { page, finish } = await openPage(browser, gateway.url);
  await page.getByText('No delivery yet').waitFor();

  const subscriber = run(['tail', '--address', gateway.grpc, '--from', 'latest']);
  t.after(() => end(subscriber));
  await page.getByRole('link', { name: 'Subscribers' }).click();
  await page.getByRole('row', { name: /anonymous.*Has everything/ }).waitFor();

  await page.getByRole('link', { name: 'Deliveries' }).click();
  const body = await gateway.postSample('sync_completed');
  await rows(page).filter({ hasText: 'Accepted' }).filter({ hasText: 'connector_synced' }).waitFor();
  await gateway.postSample('sync_completed');
  await rows(page).filter({ hasText: 'Duplicate' }).waitFor();
  await gateway.postUnsigned();
  await rows(page).filter({ hasText: 'Bad signature' }).filter({ hasText: 'Not signed with a key of this endpoint' }).waitFor();

  await openRow(page, 'Accepted');
  const payload = await page.getByLabel('Payload').textContent();
  assert.deepEqual(JSON.parse(payload), body);
  await page.getByRole('button', { name: 'What became of this sync' }).click();
  const main = page.getByRole('main');
  await main.getByText('1 event arrived').waitFor();
  await main.getByRole('listitem').filter({ hasText: 'Duplicate' }).waitFor();
  await main.getByText(/1 at bindbee/).waitFor();
  const handedOver = main.getByRole('row', { name: /anonymous.*Handed over/ });
  for (let attempt = 0; attempt < 30 && await handedOver.count() === 0; ++attempt) {
    // The journal is written once a second.
    await page.waitForTimeout(200);
    await page.getByRole('button', { name: 'Look', exact: true }).click();
    await main.getByText('1 event arrived').waitFor();
  }
  await handedOver.waitFor();

  await page.getByRole('link', { name: 'Gateway' }).click();
  await page.getByText(/signed 2, the last/).waitFor();
  // A point of the rates comes every 10 s.
  for (const name of ['accepted', 'duplicates', 'refused', 'delivered']) {
    await page.getByRole('img', { name: new RegExp(`${name}: [^;]*, 0.1 at most`) }).waitFor();
  }
  await finish();
});

test('shows personal data to who may see it only, also on loopback', async (t) => {
  const gateway = await startGateway(t, true);
  const { page, finish } = await openPage(browser, gateway.url, { expected: /Failed to load resource.*\b403\b/ });
  const { connector } = await gateway.postSample('sync_completed');
  const dialog = page.getByRole('dialog', { name: 'Delivery' });
  await openRow(page, 'Accepted');
  await dialog.getByText(/Not shown: /).waitFor();
  const decoded = await dialog.getByLabel('Decoded event').textContent();
  assert.equal(JSON.parse(decoded).connector.id, connector.id);
  assert.ok(!decoded.includes(connector.end_user_email));
  await page.keyboard.press('Escape');

  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByLabel('Token').fill(TOKEN);
  await page.getByLabel('Token').press('Enter');
  await page.getByRole('button', { name: 'Signed in' }).waitFor();
  await openRow(page, 'Accepted');
  await dialog.getByLabel('Payload').filter({ hasText: connector.end_user_email }).waitFor();
  await finish();
});

test('streams to an EventSource, which comes back where it was', async (t) => {
  const gateway = await startGateway(t, false, { maxStreamAge: '1s' });
  const { page, finish } = await openPage(browser, gateway.url);
  await gateway.postSample('sync_started');
  await page.evaluate(() => {
    window.opened = 0;
    window.sequences = [];
    window.reasons = [];
    const source = new EventSource('/v1/events?from=earliest');
    source.addEventListener('open', () => { ++window.opened; });
    source.addEventListener('message', ({ data }) => window.sequences.push(JSON.parse(data).sequence));
    source.addEventListener('error', ({ data }) => { if (data) window.reasons.push(JSON.parse(data).reason); });
  });
  const samples = ['sync_completed', 'sync_error', 'data_modified'];
  for (const [ends, name] of samples.entries()) {
    await page.waitForFunction((times) => window.opened > times, ends);
    await gateway.postSample(name);
  }
  await page.waitForFunction((count) => window.sequences.length >= count, samples.length + 1);
  await page.waitForFunction((times) => window.opened > times, samples.length);
  assert.deepEqual(await page.evaluate(() => window.sequences), ['1', '2', '3', '4']);
  assert.deepEqual(new Set(await page.evaluate(() => window.reasons)), new Set(['STREAM_ROTATED']));
  await finish();
});
