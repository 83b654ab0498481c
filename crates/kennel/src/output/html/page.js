
(() => {
  'use strict';

  // What a cell sorts by. Whole numbers of many digits stay exact; null comes last, whichever the direction.
  const keyOf = (cell, kind) => {
    if (!cell || cell.classList.contains('null')) return null;
    const text = cell.textContent;
    if (kind !== 'number') return text;
    if (/^-?\d{16,}$/.test(text)) return BigInt(text);
    const number = Number(text);
    return Number.isNaN(number) ? null : number;
  };
  const texts = new Intl.Collator('en', { numeric: true });
  const compare = (a, b, kind) => {
    if (kind === 'text') return texts.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
    return a < b ? -1 : a > b ? 1 : 0;
  };

  // A filter: words that a row must have, "words together", column:word, and each with a - before it to leave rows out.
  const parse = (text, names) => {
    const terms = [];
    for (const match of text.toLowerCase().matchAll(/(-?)(?:([\w.]+):)?(?:"([^"]*)"|(\S+))/g)) {
      let [, minus, column, quoted, plain] = match;
      let word = quoted ?? plain;
      let index = column === undefined ? -1 : names.indexOf(column);
      if (column !== undefined && index < 0) word = column + ':' + word;
      if (word) terms.push({ not: minus === '-', index, word });
    }
    return terms;
  };

  const set = (table) => {
    const body = table.tBodies[0];
    const heads = Array.from(table.tHead.rows[0].cells);
    const names = heads.map((head) => head.textContent.toLowerCase());
    const rows = Array.from(body.rows);
    if (rows.length === 0) return;
    const words = new Map();
    const said = document.createElement('output');
    let sorted = '';

    const tell = () => {
      const shown = rows.reduce((sum, row) => sum + (row.hidden ? 0 : 1), 0);
      const count = (number) => number.toLocaleString('en');
      const noun = rows.length === 1 ? ' row' : ' rows';
      said.textContent = (shown === rows.length ? count(shown) : count(shown) + ' of ' + count(rows.length)) + noun + sorted;
    };

    const sort = (index, direction, name) => {
      const kind = heads[index].className || 'text';
      let order = rows;
      if (direction !== 0) {
        const keyed = rows.map((row, at) => ({ row, at, key: keyOf(row.cells[index], kind) }));
        keyed.sort((a, b) => {
          if (a.key === null || b.key === null) return (a.key === null) - (b.key === null) || a.at - b.at;
          return direction * compare(a.key, b.key, kind) || a.at - b.at;
        });
        order = keyed.map((entry) => entry.row);
      }
      const fragment = document.createDocumentFragment();
      for (const row of order) fragment.append(row);
      body.append(fragment);
      heads.forEach((head, at) => {
        const state = at !== index || direction === 0 ? 'none' : direction > 0 ? 'ascending' : 'descending';
        head.setAttribute('aria-sort', state);
      });
      sorted = direction === 0 ? '' : ', sorted by ' + name + (direction > 0 ? ' ascending' : ' descending');
      tell();
    };

    const filter = (text) => {
      const terms = parse(text, names);
      for (const row of rows) {
        let cells = words.get(row);
        if (!cells) {
          cells = Array.from(row.cells, (cell) => cell.textContent.toLowerCase());
          words.set(row, cells);
        }
        const has = (term) => (term.index < 0 ? cells.some((cell) => cell.includes(term.word)) : cells[term.index].includes(term.word));
        row.hidden = !terms.every((term) => has(term) !== term.not);
      }
      tell();
    };

    heads.forEach((head, index) => {
      const name = head.textContent;
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = name;
      head.replaceChildren(button);
      head.setAttribute('aria-sort', 'none');
      button.addEventListener('click', () => {
        const now = head.getAttribute('aria-sort');
        sort(index, now === 'none' ? 1 : now === 'ascending' ? -1 : 0, name);
      });
    });

    const label = document.createElement('label');
    const caption = document.createElement('span');
    caption.textContent = 'Filter rows';
    const input = document.createElement('input');
    input.type = 'search';
    input.autocomplete = 'off';
    input.spellcheck = false;
    input.setAttribute('aria-controls', table.id);
    label.append(caption, input);
    said.setAttribute('aria-live', 'polite');
    const help = document.createElement('details');
    const summary = document.createElement('summary');
    summary.textContent = 'How to filter';
    const lines = [
      'Words that a row must have, in any column and any letter case: rds delete',
      'Words together: "arn:aws:iam"',
      'In one column: ' + names[0] + ':word',
      'Leave rows out: -word',
      'Click a column\'s name to sort: ascending, descending, as delivered.',
    ].map((line) => {
      const paragraph = document.createElement('p');
      paragraph.textContent = line;
      return paragraph;
    });
    help.append(summary, ...lines);
    let waiting = 0;
    input.addEventListener('input', () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => filter(input.value), rows.length > 2000 ? 250 : 60);
    });
    const tools = document.createElement('div');
    tools.className = 'tools';
    tools.append(label, said, help);
    table.parentElement.before(tools);
    tell();
  };

  document.querySelectorAll('table.data').forEach(set);

  // How old the data is for whoever reads this: the page itself knows no clock.
  for (const time of document.querySelectorAll('time.age')) {
    const hours = Math.floor((Date.now() - Date.parse(time.dateTime)) / 3600000);
    if (!(hours >= 0)) continue;
    const [count, unit] = hours < 48 ? [hours, 'hour'] : [Math.floor(hours / 24), 'day'];
    time.textContent = '(' + count.toLocaleString('en') + ' ' + unit + (count === 1 ? '' : 's') + ' ago)';
  }

  // On paper nothing can be opened: print what is behind the summaries, too.
  const opened = [];
  addEventListener('beforeprint', () => {
    for (const details of document.querySelectorAll('main details:not([open]), header details:not([open])')) {
      if (details.closest('.tools')) continue;
      details.open = true;
      opened.push(details);
    }
  });
  addEventListener('afterprint', () => {
    for (const details of opened.splice(0)) details.open = false;
  });
})();
