import { Chunked } from './chunked.js';
import { LongPoll, ShortPoll } from './poll.js';
import { Sse } from './sse.js';
import { WebSocketTransport } from './websocket.js';

/** Every transport, in the order of the panels. */
export const TRANSPORTS = [ShortPoll, LongPoll, Chunked, Sse, WebSocketTransport];

export const byKey = (key) => TRANSPORTS.find((transport) => transport.key === key);

export const indexOf = (key) => TRANSPORTS.findIndex((transport) => transport.key === key);
