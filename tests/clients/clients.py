"""Clients in Python: clients.py ADDRESS CLIENT SCENARIO…

A scenario `stop…` is the client with what its user must write. Each reports what its application sees.
"""

import asyncio
import json
import sys
import threading
import time
import traceback
import urllib.request

# Connections after which a loop without a pause is ended.
MAX_CONNECTIONS = 200


def httpx_sse(url, stop, see):
    """The loop of the README, without its library for retries."""
    import httpx
    from httpx_sse import connect_sse

    last_event_id, delay = "", 1.0
    with httpx.Client(timeout=httpx.Timeout(10, read=45)) as client:
        while True:
            headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
            try:
                with connect_sse(client, "GET", url, headers=headers) as source:
                    if stop and source.response.status_code == 204:
                        return
                    for event in source.iter_sse():
                        last_event_id = event.id
                        if event.retry is not None:
                            delay = event.retry / 1000
                        see(event.event, event.data)
                        if stop and event.event == "tidings.end":
                            return
            except httpx.TransportError as error:
                see("error", repr(error))
            time.sleep(delay)


def sseclient_py(url, stop, see):
    import requests
    from sseclient import SSEClient

    last_event_id, delay = None, 1.0
    while True:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": last_event_id}
        try:
            response = requests.get(url, stream=True, headers=headers, timeout=(10, 45))
            if stop and response.status_code == 204:
                return
            for event in SSEClient(response).events():
                last_event_id = event.id or last_event_id
                if event.retry:
                    delay = int(event.retry) / 1000
                see(event.event, event.data)
                if stop and event.event == "tidings.end":
                    return
        except requests.RequestException as error:
            see("error", repr(error))
        time.sleep(delay)


def requests_sse(url, stop, see):
    import requests
    from requests_sse import EventSource

    with EventSource(url, timeout=45) as source:
        try:
            for event in source:
                see(event.type, event.data)
                if stop and event.type == "tidings.end":
                    return
        except requests.RequestException as error:
            see("error", repr(error))


async def aiohttp_sse_client(url, stop, see):
    from aiohttp_sse_client.client import EventSource

    async with EventSource(url, timeout=None) as source:
        try:
            async for event in source:
                see(event.type, event.data)
                if stop and event.type == "tidings.end":
                    return
        except Exception as error:
            see("error", repr(error))


async def websockets_connect(url, stop, see):
    from websockets.asyncio.client import connect

    async with connect(url.replace("http", "ws", 1)) as socket:
        async for message in socket:
            see("message", message)
        see("close", f"{socket.close_code} {socket.close_reason}")


async def websockets_loop(url, stop, see):
    """The loop of the documentation, which reconnects after every close."""
    from websockets.asyncio.client import connect

    connections = 0
    async for socket in connect(url.replace("http", "ws", 1)):
        async for message in socket:
            see("message", message)
        see("close", f"{socket.close_code} {socket.close_reason}")
        if stop and socket.close_code == 1000:
            return
        connections += 1
        if connections == MAX_CONNECTIONS:
            return


CLIENTS = {
    "httpx-sse-loop": httpx_sse,
    "sseclient-py-loop": sseclient_py,
    "requests-sse": requests_sse,
    "aiohttp-sse-client": aiohttp_sse_client,
    "websockets-python-one-connection": websockets_connect,
    "websockets-python-loop": websockets_loop,
}


def run(address, client, scenario):
    path = f"{scenario}/{client}"
    url = f"{address}/events/{path}{'?controls=off' if scenario.endswith('-off') else ''}"

    def see(kind, data=""):
        body = json.dumps({"type": kind, "data": data}).encode()
        urllib.request.urlopen(urllib.request.Request(f"{address}/seen/{path}", body), timeout=60).close()

    try:
        done = CLIENTS[client](url, scenario.startswith("stop"), see)
        if asyncio.iscoroutine(done):
            asyncio.run(done)
        see("returned")
    except Exception as error:
        traceback.print_exc()
        see("raised", repr(error))


if __name__ == "__main__":
    address, client, *scenarios = sys.argv[1:]
    for scenario in scenarios:
        threading.Thread(target=run, args=(address, client, scenario)).start()
