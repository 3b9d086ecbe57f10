// Elements, made of text: nothing that comes from outside is ever parsed as
// HTML.

export const byId = (id) => document.getElementById(id);

// h('td', { class: 'number' }, 'text', element): properties that are functions
// listen to the event of that name; null and undefined children are left out.
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// Without touching what shows it already, so that screen readers hear changes.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Shows `text`, or hides the element if there is none.
export function showText(element, text) {
  setText(element, text ?? '');
  element.hidden = !text;
}

// A list of [name, value], without those that have no value.
export function facts(pairs) {
  const list = h('dl', { class: 'facts' });
  for (const [name, value] of pairs) {
    if (value === undefined || value === null || value === '') continue;
    list.append(h('dt', {}, name), h('dd', {}, value));
  }
  return list;
}

// A table whose rows a narrow screen shows as lists of named values. `columns`
// are [name, class]. Roles, since a row that is laid out so is no row to
// browsers.
export function stackedTable(columns, label) {
  const heads = columns.map(([name, style]) => h('th', { role: 'columnheader', class: style }, name));
  const body = h('tbody', { role: 'rowgroup' });
  const table = h('table', { class: 'stacked', role: 'table', 'aria-label': label },
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, ...heads)), body);
  return { table, body };
}

// The first cell names the row.
export function stackedRow(columns, cells, title) {
  return h('tr', { role: 'row', title }, ...cells.map((content, i) => {
    const [name, style] = columns[i];
    return i === 0
      ? h('th', { role: 'rowheader', class: style }, content)
      : h('td', { role: 'cell', class: style, 'data-name': name }, content);
  }));
}
