"""The checks: each returns the text of its cell in the table, and what is expected of a tested configuration."""

import statistics
import subprocess
import threading
import time

from client import EventSource, Response, Stream, frame, request, until, websocket

EVENT_STREAM, LINES = "text/event-stream", "application/x-ndjson"


def delay(front, accept, target):
    """Compares the times at which events reach a client of the proxy and one of the relay itself."""
    topic = f"delay{target.port}{accept[-1]}"
    path = f"/events?topic={topic}"
    try:
        # A proxy that collects the body may hold back the head, too.
        through = Stream(target, path, accept)
    except OSError:
        return "nothing arrives"
    direct = Stream(front.relay.target, path, accept)
    front.relay_has(topic, 2)
    late = []
    for number in range(9):
        text = f"event {number}"
        front.relay.publish(topic, text)
        if not until(lambda: direct.time_of(text) and through.time_of(text), 20):
            return "held back"
        late.append(through.time_of(text) - direct.time_of(text))
        # Not in one packet with the next event.
        time.sleep(0.05)
    through.close(), direct.close()
    front.figures.append(f"delay of {accept} at {target.origin.split(':')[0]}: median {statistics.median(late) * 1000:.1f} ms, first {late[0] * 1000:.1f} ms")
    # The median of a fixed delay is about 200 ms, also on a busy machine.
    return "late" if statistics.median(late) > 0.1 else "at once"


def sse_delay(front):
    return delay(front, EVENT_STREAM, front.proxy.target)


def clear_delay(front):
    return delay(front, EVENT_STREAM, front.proxy.clear) if front.proxy.clear else "not tested"


def lines_delay(front):
    return delay(front, LINES, front.proxy.target)


def upgrade(front):
    response = websocket(front.proxy.target, "/events?topic=socket")
    if response.status != 101:
        return str(response.status)
    front.relay_has("socket", 1)
    front.relay.publish("socket", "over a WebSocket")
    payload = frame(response)
    response.close()
    return "works" if payload == b"over a WebSocket" else f"101, then {payload!r}"


def dead_client(front):
    stream = Stream(front.proxy.target, "/events?topic=dead")
    front.relay_has("dead", 1)
    start = time.monotonic()
    stream.close()
    if not until(lambda: front.sessions("dead") == 0):
        return "not noticed"
    took = time.monotonic() - start
    front.figures.append(f"dead client: noticed after {took:.2f} s, with a heartbeat of {front.relay.heartbeat} s")
    return "at once" if took < front.relay.heartbeat / 2 else "at a heartbeat"


def held_poll(front):
    """Holds a poll for longer than the common timeout of 30 s."""
    cursor = front.cursor("poll")
    start = time.monotonic()
    path = f"/events?topic=poll&cursor={cursor}&transport=long-poll&wait={front.hold}"
    try:
        status, body = request(front.proxy.target, path, patience=90)
    except OSError as error:
        return f"cut: {type(error).__name__}"
    front.figures.append(f"held poll: {status} after {time.monotonic() - start:.1f} s")
    return "held" if status == 200 and b'"events":[]' in body else str(status)


def answered_poll(front):
    path = f"/events?topic=answer&cursor={front.cursor('answer')}&transport=long-poll&wait=20"
    answers = []
    poll = threading.Thread(target=lambda: answers.append(request(front.proxy.target, path)), daemon=True)
    poll.start()
    front.relay_has("answer", 1)
    front.relay.publish("answer", "now")
    poll.join(30)
    return "works" if answers and answers[0][0] == 200 and b'"data":"now"' in answers[0][1] else str(answers)


def tag(front):
    """Polls with the tag of the reply, as a browser does that accepts gzip."""
    headers = [("Accept-Encoding", "gzip")]
    first = Response(front.proxy.target, "/events?topic=tag&transport=short-poll", headers=headers)
    first.body()
    second = Response(
        front.proxy.target,
        "/events?topic=tag&transport=short-poll",
        headers=[*headers, ("If-None-Match", first.headers.get("etag", ""))],
    )
    second.body()
    return {200: "200", 304: "304"}.get(second.status, str(second.status))


def multiplexed(front):
    """Opens 20 streams with curl, which uses one connection if it is HTTP/2, and publishes an event to each."""
    count = 20
    directory = front.work / "streams"
    directory.mkdir(exist_ok=True)
    url = f"https://{front.proxy.target.host}/events?topic=h2/[1-{count}]&transport=sse"
    command = curl(front, "-sN", "-m", "60", "-Z", "--parallel-max", str(count), "-o", f"{directory}/#1")
    command += ["-w", "%{http_version} %{num_connects}\\n", url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        topics = [f"h2/{number}" for number in range(1, count + 1)]
        if not until(lambda: all(front.sessions(topic) for topic in topics), 20):
            return f"{sum(bool(front.sessions(topic)) for topic in topics)} of {count}"
        for topic in topics:
            front.relay.publish(topic, f"for {topic}")

        def received(number):
            file = directory / str(number)
            return file.exists() and f"data: for h2/{number}\n" in file.read_text()

        if not until(lambda: all(received(number) for number in range(1, count + 1)), 20):
            return "events are missing"
        # A request on the same connection is not shown here, but that each stream ends in order.
        for topic in topics:
            request(front.relay.target, f"/finish/{topic}", method="POST")
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    versions = {line.split()[0] for line in out.splitlines()}
    connections = sum(int(line.split()[1]) for line in out.splitlines())
    front.figures.append(f"{count} streams: HTTP/{'/'.join(sorted(versions))}, {connections} connections")
    return f"{count} on one connection" if versions == {"2"} and connections == 1 else f"{connections} connections"


def restart(front):
    """Stops the relay, and starts it again after 8 s. Returns the cells of four rows."""
    relay, target, path = front.relay, front.proxy.target, "/events?topic=restart"
    client = EventSource(target, path)
    front.relay_has("restart", 1)
    relay.publish("restart", "event 0")
    until(lambda: "event 0" in client.received())
    lines = Stream(target, path, LINES)
    front.relay_has("restart", 2)
    relay.publish("restart", "event 1")
    until(lambda: "event 1" in client.received() and lines.time_of("event 1"))
    relay.stop()
    until(lambda: client.ends)
    until(lambda: lines.response.end)
    ended = " and ".join(sorted({*client.ends[:1], lines.response.end or "not at all"}))
    down = time.monotonic() + front.downtime
    # Both at once: a proxy with health checks answers in another way after a few seconds.
    asked, status = {}, {}
    for version in ["--http1.1", "--http2"]:
        command = curl(front, "-s", "-m", "3.5", "-o", "/dev/null", "-w", "%{http_code}", version)
        command += ["-H", "Accept: text/event-stream", f"https://{target.host}{path}"]
        asked[version] = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for version, process in asked.items():
        out, _ = process.communicate(timeout=60)
        # 28 is curl's status after the time that -m sets.
        none = "waits" if process.returncode == 28 else "connection error"
        status[version] = none if out == "000" else out
    time.sleep(max(0, down - time.monotonic()))
    relay.start()
    for number in range(2, 5):
        relay.publish("restart", f"event {number}")
    expected = [f"event {number}" for number in range(5)]
    until(lambda: client.failed or len(client.received()) >= len(expected))
    failed, received = client.failed, client.received()
    client.close(), lines.close()
    during = " / ".join(dict.fromkeys(status.values()))
    front.figures.append(f"restart: HTTP/1.1 and HTTP/2 get {status}, {client.errors} connection errors")
    resumed = "nothing lost" if received == expected else f"stops at {failed}" if failed else f"{received}"
    return {"drain": ended, "down": during, "restart": resumed}


# Cells of tested configurations that differ from the others, because the proxy has no setting for it.
EXCEPTIONS = {
    ("Apache", "20 streams over HTTP/2"): "6 of 20",
    ("Apache", "`EventSource` over a restart of 8 s"): "stops at 503",
}


def curl(front, *options):
    resolve = f"{front.proxy.target.host}:127.0.0.1"
    return ["curl", *options, "--cacert", str(front.proxy.crt), "--resolve", resolve]


# Rows of the table: name, check, and the cell of a tested configuration.
ROWS = [
    ("event of an SSE stream", sse_delay, "at once"),
    ("event of an SSE stream, without TLS", clear_delay, None),
    ("event of an NDJSON stream", lines_delay, "at once"),
    ("WebSocket of a page of the host", upgrade, "works"),
    ("client has left", dead_client, None),
    ("poll, answered by an event", answered_poll, "works"),
    ("poll, held for 50 s", held_poll, "held"),
    ("poll with `If-None-Match`, of a client that takes gzip", tag, None),
    ("20 streams over HTTP/2", multiplexed, "20 on one connection"),
]
# Rows of the restart, which is one check.
RESTART_ROWS = [
    ("end of a stream when the server drains", "drain", None),
    ("request while the server restarts", "down", None),
    ("`EventSource` over a restart of 8 s", "restart", "nothing lost"),
]
# The same with a socket that stays open while the relay restarts.
ACTIVATED = ", with socket activation"
ACTIVATED_ROWS = [(name + ACTIVATED, key, expected) for name, key, expected in RESTART_ROWS[1:]]
