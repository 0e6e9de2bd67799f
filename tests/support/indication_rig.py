"""An indication service with a source of the test's own, and listeners that it delivers to."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pywbem

from cim_provider import CimError, Context, Indication, Instance, InstanceName, Principal, Status
from pycimom.indications import DeliverySettings, IndicationService, IndicationSettings
from pycimom.instance_store import InstanceStore
from pycimom.repository import Repository

HERE = Context(Principal("alice"), "root/interop", "127.0.0.1")
ADMINISTRATOR = Context(Principal("root", may_administer=True), "root/interop", "127.0.0.1")
WAIT = 10.0


class Source:
    """A provider of indications, as the broker offers it."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self.sinks: list[tuple[str, str, Callable[[Indication], None]]] = []

    def watch(self, namespace: str, indication_class: str, sink: Callable[[Indication], None]) -> Callable[[], None]:
        entry = (namespace, indication_class, sink)
        self.sinks.append(entry)
        return lambda: self.sinks.remove(entry)

    def emit(self, instance: Instance, namespace: str = "root/cimv2") -> None:
        for watched, class_name, sink in list(self.sinks):
            if watched == namespace and self._repository.is_subclass(namespace, instance.class_name, class_name):
                sink(Indication(instance))


def system(state: int, name: str = "vm1") -> Instance:
    keys = {"CreationClassName": "Test_System", "Name": name}
    return Instance("Test_System", {**keys, "EnabledState": state}, InstanceName("Test_System", tuple(keys.items())))


def change(before: int, after: int, name: str = "vm1") -> Instance:
    return Instance(
        "Test_SystemModification",
        {
            "IndicationIdentifier": f"{name} {before} {after}",
            "IndicationTime": datetime(2024, 1, 1, tzinfo=UTC),
            "PreviousInstance": system(before, name),
            "SourceInstance": system(after, name),
        },
    )


class Listener:
    """pywbem's listener; what it receives can be awaited."""

    def __init__(self, port: int | None = None) -> None:
        self.port = port or free_port()
        self.received: asyncio.Queue[pywbem.CIMInstance] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._listener = pywbem.WBEMListener("127.0.0.1", http_port=self.port)
        self._listener.add_callback(self._take)
        self._listener.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def next(self) -> pywbem.CIMInstance:
        return await asyncio.wait_for(self.received.get(), WAIT)

    def _take(self, indication: pywbem.CIMInstance, _: str) -> None:
        self._loop.call_soon_threadsafe(self.received.put_nowait, indication)

    def stop(self) -> None:
        """Begin to stop, which takes pywbem's listener two seconds."""
        STOPPING.submit(self._listener.stop)


STOPPING = ThreadPoolExecutor(32)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Pauses:
    """A clock for retries: each pause is noted, and ends when the test says so."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[tuple[float, asyncio.Event]] = asyncio.Queue()

    async def __call__(self, seconds: float) -> None:
        event = asyncio.Event()
        self.begun.put_nowait((seconds, event))
        await event.wait()

    async def next(self) -> tuple[float, asyncio.Event]:
        return await asyncio.wait_for(self.begun.get(), WAIT)


class Clock:
    """The time since some moment, as the test sets it."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Rig:
    """A service with a source, and the file that it keeps its instances in."""

    def __init__(self, repository: Repository, path: Path) -> None:
        self.repository = repository
        self.source = Source(repository)
        self.pauses = Pauses()
        self.clock = Clock()
        self._path = path
        self._services: list[tuple[IndicationService, InstanceStore]] = []

    async def start(self, **settings: Any) -> IndicationService:
        store = InstanceStore(self._path)
        settings.setdefault("delivery", DeliverySettings(retry_interval=30, timeout=5))
        told = IndicationSettings("host.example", **settings)
        service = IndicationService(self.repository, store, told, self.pauses, self.clock)
        service.connect(self.source)
        await service.start()
        self._services.append((service, store))
        return service

    async def stop(self) -> None:
        for service, store in self._services:
            await service.stop()
            store.close()
        self._services.clear()

    async def crash(self) -> None:
        """End as a process that is killed: what is in memory only is gone."""
        for service, store in self._services:
            await service._backlog.flush()  # what was queued; a kill between two writes would lose what comes between
            for queue in service._queues.values():
                queue._task.cancel()
            store.close()
        self._services.clear()
        self.source.sinks.clear()

    def waiting(self) -> list[Any]:
        """What the file has of indications that wait, while no service uses it."""
        store = InstanceStore(self._path)
        try:
            return store.waiting("root/interop")
        finally:
            store.close()

    def edit(self, statement: str) -> None:
        """Change the file behind the service's back."""
        with sqlite3.connect(self._path) as connection:
            connection.execute(statement)
        connection.close()


class RawListener:
    """A listener that answers each request with the next of some prepared bytes, then hangs up if these say so.

    None is no answer, with the connection left open. It takes ``pause`` seconds for each answer.
    """

    def __init__(self, answers: Sequence[bytes | None], tls: ssl.SSLContext | None = None, pause: float = 0.0) -> None:
        self._answers = list(answers)
        self._pause = pause
        self._tls = tls
        self.requests: asyncio.Queue[tuple[dict[str, str], bytes]] = asyncio.Queue()
        self.connections = 0

    async def __aenter__(self) -> RawListener:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self._answers:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
                body = await reader.readexactly(int(headers["content-length"]))
                self.requests.put_nowait((headers, body))
                answer = self._answers.pop(0)
                await asyncio.sleep(self._pause)
                if answer is None:
                    await reader.read()  # until the other side hangs up
                    break
                writer.write(answer)
                await writer.drain()
                if b"Connection: close" in answer or not answer or answer.startswith(b"HTTP/1.0"):
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    async def next(self) -> tuple[dict[str, str], bytes]:
        return await asyncio.wait_for(self.requests.get(), WAIT)


def answer(body: str = "", status: str = "200 OK", version: str = "1.1", more: str = "") -> bytes:
    return f"HTTP/{version} {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n{body}".encode()


GOOD = answer(
    '<?xml version="1.0"?><CIM CIMVERSION="2.0" DTDVERSION="2.0"><MESSAGE ID="0" PROTOCOLVERSION="1.0"><SIMPLEEXPRSP>'
    '<EXPMETHODRESPONSE NAME="ExportIndication"><IRETURNVALUE></IRETURNVALUE></EXPMETHODRESPONSE>'
    "</SIMPLEEXPRSP></MESSAGE></CIM>"
)
FULL = answer(
    '<?xml version="1.0"?><CIM CIMVERSION="2.0" DTDVERSION="2.0"><MESSAGE ID="0" PROTOCOLVERSION="1.0"><SIMPLEEXPRSP>'
    '<EXPMETHODRESPONSE NAME="ExportIndication"><ERROR CODE="1" DESCRIPTION="queue full"/></EXPMETHODRESPONSE>'
    "</SIMPLEEXPRSP></MESSAGE></CIM>"
)


async def add_filter(service: IndicationService, query: str, language: str = "WQL", **properties: Any) -> InstanceName:
    given = {"Query": query, "QueryLanguage": language, "SourceNamespaces": ["root/cimv2"], **properties}
    return await service.create_instance(HERE, Instance("CIM_IndicationFilter", given))


async def add_destination(
    service: IndicationService,
    url: str,
    context: Context = HERE,
    kind: str = "CIM_ListenerDestinationCIMXML",
    **more: Any,
) -> InstanceName:
    return await service.create_instance(context, Instance(kind, {"Destination": url, **more}))


async def subscribe(
    service: IndicationService, chosen: InstanceName, handler: InstanceName, **more: Any
) -> InstanceName:
    return await service.create_instance(
        HERE, Instance("CIM_IndicationSubscription", {"Filter": chosen, "Handler": handler, **more})
    )


async def subscription(service: IndicationService, url: str, query: str, language: str = "WQL") -> InstanceName:
    return await subscribe(service, await add_filter(service, query, language), await add_destination(service, url))


ALL = "SELECT * FROM CIM_InstModification"
CHANGED = "SELECT * FROM Test_SystemModification WHERE SourceInstance.EnabledState <> PreviousInstance.EnabledState"


async def status_of(operation: Any) -> Status:
    with pytest.raises(CimError) as error:
        await operation
    return error.value.status
