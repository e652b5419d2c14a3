import { Transport } from './transport.js';

/** A WebSocket with the subprotocol `tidings.v1`: one event object a message, and messages to the server. */
export class WebSocketTransport extends Transport {
  static key = 'websocket';
  static label = 'WebSocket';
  static short = 'WebSocket';
  static how = 'One connection, both ways.';

  begin() {
    const address = new URL(this.url({ transport: 'websocket' }), location.href);
    address.protocol = address.protocol.replace('http', 'ws');
    const socket = new WebSocket(address, 'tidings.v1');
    socket.onopen = () => this.on.alive();
    socket.onmessage = ({ data }) => {
      if (this.closed || typeof data !== 'string') return;
      this.heard();
      this.take(JSON.parse(data));
    };
    // 1008: not allowed, so that a retry does not help. All other codes are retried.
    socket.onclose = ({ code }) => this.end({ refused: code === 1008 ? code : null });
    this.socket = socket;
  }

  stop() {
    const socket = this.socket;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(1000);
  }

  /** Changes the topics of the open connection. Returns false if it cannot be done now. */
  follow(topics) {
    return this.send(JSON.stringify({ tidings: 'topics', topics }));
  }

  heed(object) {
    super.heed(object);
    if (object.tidings === 'topics') this.on.follows(object.topics);
    // The change was refused: the next connection names the topics.
    if (object.tidings === 'error' && object.topics) this.end();
  }

  /** Sends a message. Returns false if it cannot be sent now. */
  send(text) {
    if (this.socket?.readyState !== WebSocket.OPEN || this.socket.bufferedAmount > 65_536) return false;
    this.socket.send(text);
    return true;
  }
}
