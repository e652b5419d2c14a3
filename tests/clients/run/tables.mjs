/** Returns the tables of a report in Markdown, by name. */
export function tables({ versions, results }) {
  const of = (kind) => results.filter((client) => client.kind === kind);
  const name = (client) => `${client.name} | ${versions[client.version] ?? ''}`;
  return {
    'sse-end': table(
      ['client', 'version', 'without a check', 'with the code above', '`controls=off`', 'its application sees after the events'],
      of('sse').map((client) => {
        const { end, stop, 'end-off': off } = client.results;
        return [name(client), requests(end), requests(stop), requests(off), sights(end?.seenAfter)];
      })),
    'sse-late': table(
      ['client', 'version', 'without a check', 'with the code above', 'its application sees'],
      of('sse').map((client) => {
        const { late, 'stop-late': stop } = client.results;
        return [name(client), requests(late), requests(stop), sights(late?.seenAfter)];
      })),
    greeting: table(
      ['client', 'version', 'returns after', 'with the id', 'gets the event', 'its application also sees', '`controls=off`: returns after', 'gets the event'],
      of('sse').filter(({ results }) => results.greet).map((client) =>
        [name(client), ...greeted(client.results.greet), ...greeted(client.results['greet-off'], true)])),
    'websocket-end': table(
      ['client', 'version', 'without a check', 'with the code above', 'its application sees after the events'],
      of('websocket').map((client) => {
        const { end, stop } = client.results;
        return [name(client), requests(end), requests(stop), sights(end?.seenAfter)];
      })),
    'reader-end': table(
      ['client', 'version', 'without a check of `end`', 'with a check of `end`', 'it sees at the end', 'comes after the end: without a check', 'with a check'],
      of('reader').map((client) => {
        const { end, stop, late, 'stop-late': stopLate } = client.results;
        return [name(client), requests(end), requests(stop), sights(end && [...end.seen.slice(-1), ...end.seenAfter]), requests(late), requests(stopLate)];
      })),
  };
}

/** Returns the text of a page with the tables in place of those between `<!-- NAME -->` and `<!-- /NAME -->`. */
export function replaceTables(page, tables) {
  return Object.entries(tables).reduce((page, [name, table]) =>
    page.replace(new RegExp(`(<!-- ${name} -->\n)[^]*?(<!-- /${name} -->)`), (_, begin, end) => `${begin}${table}\n${end}`), page);
}

/** Returns a number of requests, with the statuses of their answers. */
function requests(result) {
  if (!result) return '';
  if (!result.started) return 'did not start';
  const statuses = [...new Set(result.requests.map(({ status }) => status))].join(', ');
  return result.after ? `${result.after} (${statuses})` : '0';
}

/** Returns the cells of a greeting, or only the time of the return and whether the event of the time away arrived. */
function greeted(result, short = false) {
  const cells = (after, id = '', event = '', sees = '') => (short ? [after, event] : [after, id, event, sees]);
  if (!result) return cells('');
  if (!result.started) return cells('did not start');
  const published = (text) => /while it was away|after the return/.test(text);
  const others = sights(result.seen.filter((text) => !published(text)));
  if (!result.returns) return cells('does not return', '', 'no', others);
  const event = result.seen.some((text) => text.includes('while it was away')) ? 'yes' : 'no';
  return cells(`${(result.ms / 1000).toFixed(1)} s`, result.kept ? 'yes' : (result.id ?? 'no'), event, others);
}

/** Returns up to six reports, each at most 100 characters long. */
function sights(texts = []) {
  const short = (text) => text.replaceAll(/\b[0-9a-z]{13}\.\w+/g, '…').replaceAll(/https?:\/\/[\d.]+:\d+/g, '').replace(/^(tidings\.\w+): .*?( \(×\d+\))?$/, '$1$2').slice(0, 100);
  return texts.slice(0, 6).map((text) => `\`${short(text).replaceAll('|', '\\|').replaceAll('`', "'")}\``).join(', ');
}

function table(head, rows) {
  return [head.join(' | '), head.map(() => '---').join(' | '), ...rows.map((cells) => cells.join(' | '))]
    .map((line) => `| ${line} |`).join('\n');
}
