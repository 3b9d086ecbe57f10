// How fluent the operator's page is: the time between frames, tasks of 50 ms
// and more, and how long a key waits for its paint, over some seconds of each
// view; quiet and with 1,000 deliveries a second by turns.
//
//   cmake --build --preset release --target page_fluency

import { launch, openPage, rows, startPageServer } from './browser.mjs';

const SECONDS = 10;
const ROUNDS = 3;
const KEY_EVERY_MS = 250;
const VIEWS = ['Deliveries', 'Subscribers', 'Gateway'];

const percentile = (values, share) => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
};
const round = (value) => Number(value.toFixed(1));

// Installed in the page: gathers until `stop` is called.
function gather() {
  const found = { frames: [], tasks: [], keys: [] };
  const observers = [
    ['longtask', (entry) => found.tasks.push(entry.duration), {}],
    ['event', (entry) => { if (entry.name === 'keydown') found.keys.push(entry.duration); }, { durationThreshold: 16 }],
  ].map(([type, take, options]) => {
    const observer = new PerformanceObserver((list) => list.getEntries().forEach(take));
    observer.observe({ type, ...options });
    return observer;
  });
  let last = null;
  let going = true;
  const frame = (now) => {
    if (last !== null) found.frames.push(now - last);
    last = now;
    if (going) requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  window.stop = () => {
    going = false;
    observers.forEach((observer) => observer.disconnect());
    return found;
  };
}

async function measure(browser, rate, found) {
  const server = await startPageServer({ rate });
  const { page, finish } = await openPage(browser, server.url);
  await rows(page).first().waitFor();
  for (const view of VIEWS) {
    await page.getByRole('link', { name: view, exact: true }).click();
    await page.evaluate(gather);
    const end = Date.now() + SECONDS * 1000;
    while (Date.now() < end) {
      await page.keyboard.press('Shift');
      await page.waitForTimeout(KEY_EVERY_MS);
    }
    const { frames, tasks, keys } = await page.evaluate(() => window.stop());
    const all = found[view] ??= { frames: [], tasks: [], keys: [] };
    all.frames.push(...frames);
    all.tasks.push(...tasks);
    all.keys.push(...keys);
  }
  await finish();
  await server.stop();
}

const browser = await launch();
const runs = [['quiet', 1], ['1,000 a second', 1000]].map(([name, rate]) => ({ name, rate, found: {} }));
for (let turn = 0; turn < ROUNDS; ++turn) {
  for (const { rate, found } of runs) await measure(browser, rate, found);
}
await browser.close();

console.log(`milliseconds, over ${ROUNDS} x ${SECONDS} s of each view`);
console.table(VIEWS.flatMap((view) => runs.map(({ name, found }) => {
  const { frames, tasks, keys } = found[view];
  return {
    view,
    deliveries: name,
    'frame, median': round(percentile(frames, 0.5)),
    '99 %': round(percentile(frames, 0.99)),
    largest: round(Math.max(...frames)),
    'tasks of 50 and more': tasks.length,
    'key to paint, slowest': keys.length > 0 ? round(Math.max(...keys)) : 'under 16',
  };
})));
