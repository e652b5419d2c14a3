/** Returns the tables of a report, in Markdown. */
export function tables({ date, results }) {
  const of = (kind) => results.filter((client) => client.kind === kind);
  return [
    `Measured ${date}.`,
    '## Server-sent events: requests in 60 s after the end',
    table(['client', 'as documented', 'with what the user writes', '`?controls=off`', 'the application sees after its events'],
      of('sse').map(({ name, results: { end, stop, 'end-off': off } }) => [name, after(end), after(stop), after(off), sights(end?.seenAfter)])),
    '## Server-sent events: the greeting, then a cut',
    table(['client', 'returns after', 'with the id', 'the application sees', '`?controls=off`: returns after', 'with an id', 'the application sees'],
      of('sse').map(({ name, results: { greet, 'greet-off': off } }) =>
        [name, ...greeted(greet), ...greeted(off)])),
    '## WebSockets: connections in 60 s after close 1000',
    table(['client', 'as documented', 'with what the user writes', 'the application sees after its events'],
      of('websocket').map(({ name, results: { end, stop } }) => [name, after(end), after(stop), sights(end?.seenAfter)])),
    '## Readers and polls: requests in 60 s after the end',
    table(['client', 'naive loop', 'with a check of `end`', 'sees at the end'],
      of('reader').map(({ name, results: { end, stop } }) => [name, after(end), after(stop), sights(end?.seenAfter)])),
  ].join('\n\n');
}

/** Returns a count of requests, with their statuses. */
function after(result) {
  if (!result) return '';
  if (!result.started) return 'did not start';
  const statuses = [...new Set(result.requests.map(({ status }) => status))].join(', ');
  return result.after ? `**${result.after}** (${statuses})` : '0';
}

function greeted(result) {
  if (!result) return ['', '', ''];
  if (!result.started) return ['did not start', '', ''];
  if (!result.returns) return ['does not return', '', sights(result.seen)];
  return [`${(result.ms / 1000).toFixed(1)} s`, result.kept ? 'yes' : result.id ? `${result.id}` : 'none', sights(result.seen)];
}

function sights(texts = []) {
  return texts.slice(0, 8).map((text) => `\`${text.replaceAll('|', '\\|').slice(0, 110)}\``).join(' ');
}

function table(head, rows) {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
