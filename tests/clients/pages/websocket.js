const MODULES = '/files/node_modules';

/** One connection. With `stop` it is a loop that reconnects after every close but 1000. */
export function webSocket(url, { stop, see }) {
  const socket = new WebSocket(url);
  socket.onmessage = ({ data }) => see('message', data);
  socket.onclose = ({ code, reason }) => {
    see('close', `${code} ${reason}`);
    if (stop && code !== 1000) setTimeout(webSocket, 1000, url, { stop, see });
  };
}

export async function reconnectingWebSocket(url, { stop, see }) {
  const { default: ReconnectingWebSocket } =
    await import(`${MODULES}/reconnecting-websocket/dist/reconnecting-websocket-mjs.js`);
  const socket = new ReconnectingWebSocket(new URL(url, location.href.replace('http', 'ws')).href);
  socket.addEventListener('message', ({ data }) => see('message', data));
  socket.addEventListener('close', ({ code, reason }) => {
    see('close', `${code} ${reason}`);
    // Its timeout of a connection attempt is a close with 1000, too.
    if (stop && reason === 'finished') socket.close();
  });
}

export async function partySocket(url, { stop, see }) {
  const { default: WebSocket } = await import(`${MODULES}/partysocket/dist/ws.js`);
  const socket = new WebSocket(new URL(url, location.href.replace('http', 'ws')).href, [], {
    ...(stop && { shouldReconnectOnClose: ({ reason }) => reason !== 'finished' }),
  });
  socket.addEventListener('message', ({ data }) => see('message', data));
  socket.addEventListener('close', ({ code, reason }) => see('close', `${code} ${reason}`));
}
