"""What counting calls for Prometheus costs: one of the shortest calls, with and without, in turns, in one run.

A client asks on one kept connection; what counts is the ratio of the fastest rounds.
"""

from __future__ import annotations

import asyncio
import http.client
import tempfile
import time
import xmlrpc.client
from pathlib import Path

from netserve import logs
from netserve.doors import Door
from xenapi_core.metrics import METRICS
from xenapi_core.server import Settings, XenApiServer

ROUNDS, CALLS = 60, 300
CALLS_DOOR, METRICS_DOOR = Door("calls", authentication="none"), Door("metrics", authentication=METRICS)


class Client:
    """A connection and a call to send on it again and again."""

    def __init__(self, door: Door) -> None:
        self.connection = http.client.HTTPConnection(door.host, door.port)
        session = self.value("session.login_with_password", "bench", "")
        vm = self.value("VM.get_all", session)[0]
        self.body = xmlrpc.client.dumps((session, vm), "VM.get_name_label").encode()

    def ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        self.connection.request(method, path, body)
        return self.connection.getresponse().read()

    def value(self, method: str, *parameters: str) -> str:
        (answer,), _ = xmlrpc.client.loads(self.ask("POST", "/", xmlrpc.client.dumps(parameters, method).encode()))
        return answer["Value"]

    def round(self) -> float:
        begun = time.perf_counter()
        for _ in range(CALLS):
            self.ask("POST", "/", self.body)
        return (time.perf_counter() - begun) / CALLS


def scrape(door: Door) -> tuple[int, float]:
    connection = http.client.HTTPConnection(door.host, door.port)
    begun = time.perf_counter()
    connection.request("GET", "/metrics")
    return len(connection.getresponse().read()), time.perf_counter() - begun


async def main() -> None:
    logs.configure("error")
    with tempfile.TemporaryDirectory() as folder:
        server = XenApiServer(Settings(Path(folder), (CALLS_DOOR,), Path(folder) / "users"))
        await server.start()
        try:
            client = await asyncio.to_thread(Client, server.doors[0])
            fastest = {True: float("inf"), False: float("inf")}
            for turn in range(2 * ROUNDS):
                counting = bool(turn % 2)
                await server.reopen((CALLS_DOOR, METRICS_DOOR) if counting else (CALLS_DOOR,))
                fastest[counting] = min(fastest[counting], await asyncio.to_thread(client.round))
            size, took = await asyncio.to_thread(scrape, server.doors[1])
        finally:
            await server.stop()
    print(f"A call takes {fastest[False] * 1e6:.0f} us without and {fastest[True] * 1e6:.0f} us with counting,")
    print(f"a ratio of {fastest[True] / fastest[False]:.3f}. A scrape of {size} bytes takes {took * 1e3:.1f} ms.")


if __name__ == "__main__":
    asyncio.run(main())
