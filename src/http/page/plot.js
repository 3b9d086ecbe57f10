// Lines over the last hour, as inline SVG.

import { formatRate } from './format.js';

const NAMESPACE = 'http://www.w3.org/2000/svg';
const POINT_SECONDS = 10;
const HOUR_MS = 3_600_000;

function svg(tag, attributes, ...children) {
  const element = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export const rateOf = (point, name) => Number(point?.[name] ?? 0) / POINT_SECONDS;

// 1, 2 or 5 times a power of ten: the least that is not below `value`.
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * power).find((limit) => limit >= value);
}

function path(points, name, end, x, y) {
  let d = '';
  let before = -Infinity;
  for (const point of points) {
    const at = Date.parse(point.at);
    if (at < end - HOUR_MS) continue;
    const command = at - before > 3 * POINT_SECONDS * 1000 ? 'M' : 'L';
    d += `${command}${x(at).toFixed(1)} ${y(rateOf(point, name)).toFixed(1)}`;
    before = at;
  }
  return svg('path', { class: 'line', 'data-line': name, d });
}

const highest = (points, names) =>
  Math.max(0, ...points.flatMap((point) => names.map((name) => rateOf(point, name))));

// For the side of a number that says the same.
export function spark(points, name, end) {
  const top = highest(points, [name]) || 1;
  const x = (at) => 100 - ((end - at) / HOUR_MS) * 100;
  const y = (value) => 30 - (value / top) * 28;
  return svg('svg', { viewBox: '0 0 100 32', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, path(points, name, end, x, y));
}

// `names` are fields of RatePoint; `end` is now, in ms.
export function plot(points, names, end) {
  const width = 480;
  const height = 150;
  const left = 58;
  const bottom = 20;
  const top = roundUp(Math.max(1, highest(points, names)));
  const x = (at) => width - ((end - at) / HOUR_MS) * (width - left);
  const y = (value) => 10 + (1 - value / top) * (height - bottom - 10);
  const last = points.at(-1);
  const summary = names
    .map((name) => `${name}: ${formatRate(rateOf(last, name))} a second now, ${formatRate(highest(points, [name]))} at most`)
    .join('; ');
  const chart = svg('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': summary });
  for (const value of [0, top / 2, top]) {
    chart.append(
      svg('line', { class: 'axis', x1: left, x2: width, y1: y(value), y2: y(value) }),
      svg('text', { class: 'tick', x: left - 6, y: y(value) + 4, 'text-anchor': 'end' }, formatRate(value)),
    );
  }
  for (const minutes of [60, 40, 20, 0]) {
    const at = x(end - minutes * 60_000);
    const anchor = minutes === 0 ? 'end' : minutes === 60 ? 'start' : 'middle';
    chart.append(svg('text', { class: 'tick', x: at, y: height - 4, 'text-anchor': anchor }, minutes === 0 ? 'now' : `−${minutes} min`));
  }
  chart.append(...names.map((name) => path(points, name, end, x, y)));
  return chart;
}
