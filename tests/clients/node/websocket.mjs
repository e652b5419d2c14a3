import WebSocket from 'ws';

/** One connection. With `stop` it is a loop that reconnects after every close but 1000. */
export function ws(url, { stop, see }) {
  const socket = new WebSocket(url.replace('http', 'ws'));
  socket.on('message', (data) => see('message', String(data)));
  socket.on('error', (error) => see('error', String(error)));
  socket.on('close', (code, reason) => {
    see('close', `${code} ${reason}`);
    if (stop && code !== 1000) setTimeout(ws, 1000, url, { stop, see });
  });
}
