"""Clients of the relay over raw sockets: they show how a response ends, which HTTP libraries hide."""

import base64
import json
import os
import socket
import ssl
import threading
import time

HOST = "push.example"
# Longest wait for anything that should happen.
PATIENCE = 60


def until(condition, patience=PATIENCE):
    """Polls a condition. Returns its value, or None if it stays false."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    return None


class Target:
    """Address of the relay, or of a proxy with its certificate."""

    def __init__(self, port, certificate=None):
        self.port, self.context = port, None
        if certificate:
            self.context = ssl.create_default_context(cafile=certificate)
            self.context.set_alpn_protocols(["http/1.1"])
        self.host = f"{HOST}:{port}"
        self.origin = f"{'https' if certificate else 'http'}://{self.host}"

    def connect(self, patience=PATIENCE):
        plain = socket.create_connection(("127.0.0.1", self.port), patience)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.context.wrap_socket(plain, server_hostname=HOST) if self.context else plain


class Response:
    """Response to one request on a connection of its own."""

    def __init__(self, target, path, headers=(), method="GET", body=b"", patience=PATIENCE):
        self.socket = target.connect(patience)
        lines = [f"{method} {path} HTTP/1.1", f"Host: {target.host}", *(f"{name}: {value}" for name, value in headers)]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        self.file = self.socket.makefile("rb")
        first = self.file.readline().split()
        if len(first) < 2:
            raise ConnectionError("no response")
        self.status, self.headers = int(first[1]), {}
        while (line := self.file.readline().strip()):
            name, _, value = line.decode("latin1").partition(":")
            self.headers[name.lower()] = value.strip()
        # How the body ended: "in order", or "cut".
        self.end = None

    def parts(self):
        """Yields the parts of the body."""
        try:
            if self.headers.get("transfer-encoding") == "chunked":
                while True:
                    size = self.file.readline().strip()
                    if not size:
                        self.end = "cut"
                        return
                    length = int(size, 16)
                    part = self.file.read(length + 2)
                    if length == 0 or len(part) < length + 2:
                        self.end = "in order" if length == 0 else "cut"
                        return
                    yield part[:-2]
            elif (length := self.headers.get("content-length")) is not None:
                body = self.file.read(int(length))
                self.end = "in order" if len(body) == int(length) else "cut"
                yield body
            else:
                while part := self.file.read1(65536):
                    yield part
                # The end of the connection is the end of the body.
                self.end = "in order"
        except OSError:
            self.end = "cut"

    def body(self):
        return b"".join(self.parts())

    def close(self):
        # Wakes a thread that reads.
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()


def request(target, path, **options):
    """Returns the status and the body of a request."""
    response = Response(target, path, **options)
    body = response.body()
    response.close()
    return response.status, body


class Stream(threading.Thread):
    """Stream of events on one connection. `arrived` has the data of each event and its time."""

    def __init__(self, target, path, accept="text/event-stream", headers=()):
        super().__init__(daemon=True)
        self.response = Response(target, path, headers=[("Accept", accept), *headers])
        self.arrived, self.cursor, self.rest = [], None, b""
        self.start()

    def run(self):
        for part in self.response.parts():
            now = time.monotonic()
            *lines, self.rest = (self.rest + part).split(b"\n")
            for line in lines:
                self.line(line.decode(), now)

    def line(self, line, now):
        if line.startswith("id: "):
            self.cursor = line[4:]
        elif line.startswith("data: "):
            self.arrived.append((line[6:], now))
        elif line.startswith("{"):
            self.arrived.append((json.loads(line).get("data"), now))

    def time_of(self, data):
        return next((when for text, when in self.arrived if text == data), None)

    def close(self):
        self.response.close()


class EventSource(threading.Thread):
    """Client that reconnects as a browser's EventSource does: after a connection error or the end of a stream, and not
    after a status other than 200. `failed` is that status."""

    def __init__(self, target, path):
        super().__init__(daemon=True)
        self.target, self.path = target, path
        self.data, self.ends, self.failed, self.closed, self.errors = [], [], None, False, 0
        self.stream, self.cursor = None, None
        self.start()

    def run(self):
        while not self.closed:
            headers = [("Last-Event-ID", self.cursor)] if self.cursor else []
            try:
                stream = Stream(self.target, self.path, headers=headers)
            except OSError:
                self.errors += 1
                time.sleep(0.5)
                continue
            if stream.response.status != 200:
                self.failed = stream.response.status
                return
            self.stream = stream
            stream.join()
            self.cursor = stream.cursor or self.cursor
            self.data += [data for data, _ in stream.arrived if data.startswith("event ")]
            self.ends.append(stream.response.end)
            self.stream = None
            time.sleep(0.5)

    def received(self):
        stream = self.stream
        return self.data + ([data for data, _ in stream.arrived if data.startswith("event ")] if stream else [])

    def close(self):
        self.closed = True
        if self.stream:
            self.stream.close()


def websocket(target, path):
    """Returns the status of a handshake of a page of the host, and the connection."""
    key = base64.b64encode(os.urandom(16)).decode()
    headers = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Key", key)]
    headers += [("Sec-WebSocket-Version", "13"), ("Origin", target.origin)]
    return Response(target, path, headers=headers)


def frame(response):
    """Returns the payload of the next text frame."""
    while True:
        head = response.file.read(2)
        if len(head) < 2:
            return None
        length = head[1] & 127
        if length > 125:
            length = int.from_bytes(response.file.read(2 if length == 126 else 8), "big")
        payload = response.file.read(length)
        if head[0] & 15 == 1:
            return payload
