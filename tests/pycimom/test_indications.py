"""The indication service: its rules, which indications it selects, and their delivery to foreign listeners."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pywbem

from cim_provider import CimError, Context, Indication, Instance, InstanceName, Principal, Status
from netserve import certificates
from netserve.doors import Tls
from pycimom.indications import DeliverySettings, IndicationService, IndicationSettings
from pycimom.indications.destinations import DestinationPolicy
from pycimom.instance_store import InstanceStore
from pycimom.repository import Repository

HERE = Context(Principal("alice"), "root/interop", "127.0.0.1")
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


class Rig:
    """A service with a source, and the file that it keeps its instances in."""

    def __init__(self, repository: Repository, path: Path) -> None:
        self.repository = repository
        self.source = Source(repository)
        self.pauses = Pauses()
        self._path = path
        self._services: list[tuple[IndicationService, InstanceStore]] = []

    async def start(self, **settings: Any) -> IndicationService:
        store = InstanceStore(self._path)
        settings.setdefault("delivery", DeliverySettings(retry_interval=30, timeout=5))
        service = IndicationService(self.repository, store, IndicationSettings("host.example", **settings), self.pauses)
        service.connect(self.source)
        await service.start()
        self._services.append((service, store))
        return service

    async def stop(self) -> None:
        for service, store in self._services:
            await service.stop()
            store.close()
        self._services.clear()


@pytest.fixture
async def rig(repository: Repository, tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(repository, tmp_path / "instances.db")
    yield rig
    await rig.stop()


@pytest.fixture(scope="module", autouse=True)
def listeners_stop() -> Iterator[None]:
    yield
    STOPPING.shutdown()


@pytest.fixture
async def listen() -> AsyncIterator[Callable[..., Listener]]:
    listeners: list[Listener] = []

    def start(port: int | None = None) -> Listener:
        listeners.append(Listener(port))
        return listeners[-1]

    yield start
    for each in listeners:
        each.stop()


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
STORAGE_MANAGERS = (
    "SELECT * FROM CIM_InstModification WHERE SourceInstance ISA CIM_ComputerSystem AND "
    "SourceInstance.CIM_ComputerSystem::EnabledState <> PreviousInstance.CIM_ComputerSystem::EnabledState"
)


async def status_of(operation: Any) -> Status:
    with pytest.raises(CimError) as error:
        await operation
    return error.value.status


class TestRules:
    async def test_keys_and_defaults_are_filled_in(self, rig: Rig):
        service = await rig.start()
        chosen = await add_filter(service, ALL)
        assert [chosen.get(key) for key in ("SystemCreationClassName", "SystemName", "CreationClassName")] == [
            "CIM_ComputerSystem",
            "host.example",
            "CIM_IndicationFilter",
        ]
        assert chosen.get("Name")
        named = await add_filter(service, ALL, Name="mine", SystemName="other", SYSTEMCREATIONCLASSNAME="X_System")
        assert [value for _, value in sorted(named.keys)] == ["CIM_IndicationFilter", "mine", "X_System", "other"]
        handler = await add_destination(service, "http://127.0.0.1:5000")
        kept = service.view().instance(handler)
        assert (kept.get("PersistenceType"), kept.get("Protocol")) == (2, 2)
        name = await subscribe(service, chosen, handler)
        kept = service.view().instance(name)
        assert [kept.get(each) for each in ("SubscriptionState", "OnFatalErrorPolicy", "RepeatNotificationPolicy")] == [
            2,
            2,
            2,
        ]
        assert kept.get("SubscriptionStartTime") is not None

    async def test_the_older_name_of_destinations_is_taken(self, rig: Rig):
        service = await rig.start()
        handler = await add_destination(service, "http://127.0.0.1:5000", kind="CIM_IndicationHandlerCIMXML")
        assert handler.class_name == "CIM_IndicationHandlerCIMXML"
        await subscribe(service, await add_filter(service, ALL), handler)
        assert len(rig.source.sinks) == 1

    async def test_bad_filters(self, rig: Rig):
        service = await rig.start()
        assert await status_of(add_filter(service, ALL, "SQL")) is Status.QUERY_LANGUAGE_NOT_SUPPORTED
        assert await status_of(add_filter(service, "SELECT")) is Status.INVALID_QUERY
        assert await status_of(add_filter(service, "SELECT * FROM Nothing")) is Status.INVALID_QUERY
        assert await status_of(add_filter(service, "SELECT * FROM CIM_ComputerSystem")) is Status.INVALID_QUERY
        assert await status_of(add_filter(service, ALL, SourceNamespaces=["nowhere"])) is Status.INVALID_PARAMETER
        without = Instance("CIM_IndicationFilter", {"QueryLanguage": "WQL"})
        assert await status_of(service.create_instance(HERE, without)) is Status.INVALID_PARAMETER
        assert service.view().instances("CIM_IndicationFilter") == ()

    @pytest.mark.parametrize(
        "url",
        ["", "listener", "ftp://127.0.0.1", "http://", "http://127.0.0.1:99999", "http://u:p@127.0.0.1", "http://a b"],
    )
    async def test_bad_destinations(self, rig: Rig, url: str):
        service = await rig.start()
        assert await status_of(add_destination(service, url)) is Status.INVALID_PARAMETER

    async def test_bad_references(self, rig: Rig):
        service = await rig.start()
        chosen = await add_filter(service, ALL)
        handler = await add_destination(service, "http://127.0.0.1:5000")
        missing = InstanceName("CIM_IndicationFilter", (("Name", "x"),))
        assert await status_of(subscribe(service, missing, handler)) is Status.INVALID_PARAMETER
        assert await status_of(subscribe(service, handler, handler)) is Status.INVALID_PARAMETER
        assert await status_of(subscribe(service, chosen, chosen)) is Status.INVALID_PARAMETER
        elsewhere = InstanceName(chosen.class_name, chosen.keys, "root/cimv2")
        assert await status_of(subscribe(service, elsewhere, handler)) is Status.INVALID_PARAMETER
        assert await status_of(subscribe(service, chosen, handler, SubscriptionState=7)) is Status.INVALID_PARAMETER
        assert rig.source.sinks == []

    async def test_everything_exists_once(self, rig: Rig):
        service = await rig.start()
        chosen = await add_filter(service, ALL, Name="one")
        assert await status_of(add_filter(service, CHANGED, Name="one")) is Status.ALREADY_EXISTS
        handler = await add_destination(service, "http://127.0.0.1:5000", Name="one")
        assert await status_of(add_destination(service, "http://127.0.0.1:5001", Name="one")) is Status.ALREADY_EXISTS
        await subscribe(service, chosen, handler)
        bare = InstanceName(chosen.class_name, chosen.keys)
        assert await status_of(subscribe(service, bare, handler)) is Status.ALREADY_EXISTS
        assert len(rig.source.sinks) == 1

    async def test_what_a_subscription_uses_stays(self, rig: Rig):
        service = await rig.start()
        name = await subscription(service, "http://127.0.0.1:5000", ALL)
        chosen, handler = name.get("Filter"), name.get("Handler")
        assert isinstance(chosen, InstanceName)
        assert isinstance(handler, InstanceName)
        assert await status_of(service.delete_instance(HERE, chosen)) is Status.FAILED
        assert await status_of(service.delete_instance(HERE, handler)) is Status.FAILED
        for each in (name, chosen, handler):
            await service.delete_instance(HERE, each)
        assert rig.source.sinks == []
        assert await status_of(service.delete_instance(HERE, chosen)) is Status.NOT_FOUND

    async def test_a_transient_destination_stays_until_its_client_deletes_it(self, rig: Rig):
        service = await rig.start()
        handler = await add_destination(service, "http://127.0.0.1:5000", PersistenceType=3)
        name = await subscribe(service, await add_filter(service, ALL), handler)
        await service.delete_instance(HERE, name)
        assert service.view().instance(handler) is not None
        await service.delete_instance(HERE, handler)
        assert service.view().instance(handler) is None

    async def test_a_subscription_ends_after_its_duration(self, rig: Rig):
        service = await rig.start()
        chosen, handler = await add_filter(service, ALL), await add_destination(service, "http://127.0.0.1:5000")
        name = await subscribe(service, chosen, handler, SubscriptionDuration=3600)
        seconds, _ = await rig.pauses.next()
        assert 3590 < seconds <= 3600
        await rig.stop()
        service = await rig.start()
        seconds, release = await rig.pauses.next()
        assert 3590 < seconds <= 3600
        assert len(rig.source.sinks) == 1
        release.set()
        async with asyncio.timeout(WAIT):
            while rig.source.sinks:
                await asyncio.sleep(0)
        assert service.view().instance(name) is None
        await service.delete_instance(HERE, chosen)

    async def test_limits(self, rig: Rig):
        service = await rig.start(max_destinations=1, max_subscriptions=1)
        handler = await add_destination(service, "http://127.0.0.1:5000")
        assert await status_of(add_destination(service, "http://127.0.0.1:5001")) is Status.FAILED
        await subscribe(service, await add_filter(service, ALL), handler)
        assert await status_of(subscribe(service, await add_filter(service, ALL), handler)) is Status.FAILED

    async def test_the_service_describes_itself(self, rig: Rig):
        service = await rig.start(delivery=DeliverySettings(retry_attempts=5, retry_interval=7))
        (described,) = service.view().instances("CIM_IndicationService")
        assert (described.get("DeliveryRetryAttempts"), described.get("DeliveryRetryInterval")) == (5, 7)
        (capabilities,) = service.view().instances("CIM_IndicationServiceCapabilities")
        (link,) = service.view().references("CIM_ElementCapabilities", described.name, "ManagedElement")
        assert link.get("Capabilities") == capabilities.name
        for class_name in ("CIM_IndicationService", "CIM_IndicationServiceCapabilities", "CIM_ElementCapabilities"):
            cim_class = rig.repository.get("root/interop", class_name)
            for each in service.view().instances(class_name):
                assert set(each.properties) <= set(cim_class.properties)
        assert await status_of(service.delete_instance(HERE, described.name)) is Status.ACCESS_DENIED
        assert await status_of(service.create_instance(HERE, described)) is Status.NOT_SUPPORTED

    async def test_only_the_state_of_a_subscription_can_be_modified(self, rig: Rig):
        service = await rig.start()
        name = await subscription(service, "http://127.0.0.1:5000", ALL)
        await service.modify_instance(HERE, name, {"SubscriptionState": 4}, None)
        assert rig.source.sinks == []
        await service.modify_instance(HERE, name, {"SubscriptionState": 2}, ["SubscriptionState"])
        assert len(rig.source.sinks) == 1
        chosen = name.get("Filter")
        assert isinstance(chosen, InstanceName)
        await service.modify_instance(HERE, chosen, {"Query": ALL}, ["Query"])
        for target, changes, expected in [
            (chosen, {"Query": CHANGED}, Status.NOT_SUPPORTED),
            (name, {"SubscriptionState": 9}, Status.INVALID_PARAMETER),
            (name, {"SubscriptionDuration": 5}, Status.NOT_SUPPORTED),
        ]:
            assert await status_of(service.modify_instance(HERE, target, changes, None)) is expected


class TestWhoMayReceive:
    @staticmethod
    async def ask(url: str, peer: str | None, *allowed: str) -> str | None:
        return await DestinationPolicy(allowed).permit(url, peer)

    async def test_the_subscriber_itself(self):
        assert await self.ask("http://192.0.2.7:5000", "192.0.2.7") == "192.0.2.7"
        assert await self.ask("http://192.0.2.7:5000", "::ffff:192.0.2.7") == "192.0.2.7"
        assert await self.ask("https://[2001:db8::1]", "2001:db8::1") == "2001:db8::1"
        assert await self.ask("http://localhost:5000", "127.0.0.1") in ("127.0.0.1", "::1")
        assert await self.ask("http://127.0.0.1:5000", None) == "127.0.0.1"

    @pytest.mark.parametrize(
        ("url", "peer"),
        [
            ("http://192.0.2.8:5000", "192.0.2.7"),
            ("http://127.0.0.1:5000", "192.0.2.7"),
            ("http://192.0.2.7:5000", None),
            ("http://192.0.2.7:5000", "127.0.0.1"),
        ],
    )
    async def test_nobody_else(self, url: str, peer: str | None):
        assert await status_of(self.ask(url, peer)) is Status.ACCESS_DENIED

    async def test_whom_the_settings_allow(self):
        assert await self.ask("http://192.0.2.8", "192.0.2.7", "192.0.2.0/24") == "192.0.2.8"
        assert await self.ask("http://LISTENER.example", "192.0.2.7", "listener.example") is None
        assert await self.ask("http://anywhere.example", "192.0.2.7", "*") is None
        assert await status_of(self.ask("http://192.0.3.8", "192.0.2.7", "192.0.2.0/24")) is Status.ACCESS_DENIED

    async def test_an_unknown_host(self):
        assert await status_of(self.ask("http://nothing.invalid", "192.0.2.7")) is Status.INVALID_PARAMETER


class TestDelivery:
    async def test_an_indication_reaches_a_listener_with_both_instances(
        self, rig: Rig, listen: Callable[..., Listener]
    ):
        service, listener = await rig.start(), listen()
        await subscription(service, listener.url, ALL)
        rig.source.emit(change(3, 2))
        found = await listener.next()
        assert found.classname == "Test_SystemModification"
        assert found["PreviousInstance"].classname == "Test_System"
        assert (found["PreviousInstance"]["EnabledState"], found["SourceInstance"]["EnabledState"]) == (3, 2)
        assert found["IndicationTime"].datetime == datetime(2024, 1, 1, tzinfo=UTC)

    @pytest.mark.parametrize(("query", "language"), [(CHANGED, "WQL"), (STORAGE_MANAGERS, "DMTF:CQL")])
    async def test_only_what_the_query_selects_is_sent(
        self, rig: Rig, listen: Callable[..., Listener], query: str, language: str
    ):
        service, listener = await rig.start(), listen()
        await subscription(service, listener.url, query, language)
        for before, after in ((2, 2), (2, 3), (3, 3), (3, 2)):
            rig.source.emit(change(before, after))
        found = [await listener.next() for _ in range(2)]
        assert [each["SourceInstance"]["EnabledState"] for each in found] == [3, 2]
        assert [each["SequenceNumber"] for each in found] == [0, 1]

    async def test_selected_properties_only(self, rig: Rig, listen: Callable[..., Listener]):
        service, listener = await rig.start(), listen()
        await subscription(service, listener.url, "SELECT IndicationIdentifier FROM CIM_InstModification")
        rig.source.emit(change(3, 2))
        found = await listener.next()
        sequence = {"IndicationFilterName", "SequenceContext", "SequenceNumber"}
        assert set(found.properties) == {"IndicationIdentifier"} | sequence

    async def test_a_filter_without_namespaces_means_all_that_know_the_class(
        self, rig: Rig, listen: Callable[..., Listener]
    ):
        service, listener = await rig.start(), listen()
        chosen = await add_filter(service, ALL, SourceNamespaces=None)
        await subscribe(service, chosen, await add_destination(service, listener.url))
        rig.source.emit(change(3, 2))
        assert (await listener.next())["SourceInstance"]["EnabledState"] == 2

    async def test_order_and_sequence(self, rig: Rig, listen: Callable[..., Listener]):
        service, one, other = await rig.start(), listen(), listen()
        chosen = await add_filter(service, ALL, Name="all:changes")
        for listener in (one, other):
            await subscribe(service, chosen, await add_destination(service, listener.url))
        for number in range(20):
            rig.source.emit(change(3, 2, f"vm{number}"))
        contexts = set()
        for listener in (one, other):
            found = [await listener.next() for _ in range(20)]
            assert [each["IndicationIdentifier"] for each in found] == [f"vm{number} 3 2" for number in range(20)]
            assert [each["SequenceNumber"] for each in found] == list(range(20))
            assert {each["IndicationFilterName"] for each in found} == {"all:changes"}
            contexts.add(frozenset(each["SequenceContext"] for each in found))
        assert len(contexts) == 2
        assert all(len(each) == 1 for each in contexts)

    async def test_a_listener_that_comes_late_gets_everything_in_order(self, rig: Rig, listen: Callable[..., Listener]):
        service, port = await rig.start(), free_port()
        await subscription(service, f"http://127.0.0.1:{port}", ALL)
        rig.source.emit(change(3, 2, "first"))
        rig.source.emit(change(3, 2, "second"))
        seconds, release = await rig.pauses.next()
        assert seconds == 30
        listener = listen(port)
        release.set()
        found = [await listener.next() for _ in range(2)]
        assert [each["IndicationIdentifier"] for each in found] == ["first 3 2", "second 3 2"]
        assert [each["SequenceNumber"] for each in found] == [0, 1]
        assert rig.pauses.begun.empty()

    async def test_a_dead_listener_delays_nobody_and_is_given_up_in_the_end(
        self, rig: Rig, listen: Callable[..., Listener]
    ):
        service, port, alive = await rig.start(), free_port(), listen()
        chosen = await add_filter(service, ALL)
        await subscribe(service, chosen, await add_destination(service, f"http://127.0.0.1:{port}"))
        await subscribe(service, chosen, await add_destination(service, alive.url))
        rig.source.emit(change(3, 2, "first"))
        assert (await alive.next())["IndicationIdentifier"] == "first 3 2"
        for _ in range(3):
            seconds, release = await rig.pauses.next()
            assert seconds == 30
            last = release
            if rig.pauses.begun.empty():
                release.set()
        rig.source.emit(change(3, 2, "second"))
        assert (await alive.next())["IndicationIdentifier"] == "second 3 2"
        # The first is given up after its third pause; now the second waits, and the listener comes.
        assert last.is_set()
        _, release = await rig.pauses.next()
        late = listen(port)
        release.set()
        found = await late.next()
        assert (found["IndicationIdentifier"], found["SequenceNumber"]) == ("second 3 2", 1)

    async def test_a_full_queue_drops_the_oldest(self, rig: Rig, listen: Callable[..., Listener]):
        service, port = await rig.start(delivery=DeliverySettings(queue_length=2, timeout=5)), free_port()
        await subscription(service, f"http://127.0.0.1:{port}", ALL)
        rig.source.emit(change(3, 2, "vm0"))
        _, release = await rig.pauses.next()
        for number in range(1, 6):
            rig.source.emit(change(3, 2, f"vm{number}"))
        listener = listen(port)
        release.set()
        assert [(await listener.next())["SequenceNumber"] for _ in range(3)] == [0, 4, 5]

    async def test_subscriptions_live_on_after_a_restart(self, rig: Rig, listen: Callable[..., Listener]):
        service, listener = await rig.start(), listen()
        name = await subscription(service, listener.url, CHANGED)
        rig.source.emit(change(3, 2))
        before = await listener.next()
        await rig.stop()
        assert rig.source.sinks == []
        service = await rig.start()
        assert service.view().instance(name) is not None
        rig.source.emit(change(2, 3))
        after = await listener.next()
        assert after["SequenceNumber"] == 0
        assert after["SequenceContext"] != before["SequenceContext"]

    async def test_a_deleted_or_disabled_subscription_is_silent(self, rig: Rig, listen: Callable[..., Listener]):
        service, listener = await rig.start(), listen()
        deleted = await subscription(service, listener.url, ALL)
        disabled = await subscription(service, listener.url, ALL)
        kept = await subscription(service, listener.url, CHANGED)
        await service.delete_instance(HERE, deleted)
        await service.modify_instance(HERE, disabled, {"SubscriptionState": 4}, None)
        chosen = service.view().instance(kept.get("Filter"))
        rig.source.emit(change(3, 2))
        rig.source.emit(change(2, 3))
        found = [await listener.next() for _ in range(2)]
        assert [each["IndicationFilterName"] for each in found] == [chosen.get("Name")] * 2

    async def test_a_wrong_indication_harms_nobody(self, rig: Rig, listen: Callable[..., Listener]):
        service, listener = await rig.start(), listen()
        await subscription(service, listener.url, ALL)
        rig.source.emit(Instance("Test_SystemModification", {"IndicationTime": "noon", "SourceInstance": object()}))
        rig.source.emit(change(3, 2))
        assert (await listener.next())["SourceInstance"]["EnabledState"] == 2


class RawListener:
    """A listener that answers each request with the next of some prepared bytes, then hangs up if told so."""

    def __init__(self, answers: Sequence[bytes], tls: ssl.SSLContext | None = None) -> None:
        self._answers = list(answers)
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


class TestExchange:
    async def identifiers(self, rig: Rig, listener: RawListener, count: int) -> list[str]:
        service = await rig.start()
        await subscription(service, f"http://127.0.0.1:{listener.port}/some/path?x=1", ALL)
        rig.source.emit(change(3, 2, "a"))
        rig.source.emit(change(3, 2, "b"))
        bodies = [(await listener.next())[1] for _ in range(count)]
        return ["a" if b"a 3 2" in body else "b" for body in bodies]

    async def test_the_request_is_as_dsp0200_wants_it(self, rig: Rig):
        async with RawListener([GOOD, GOOD]) as listener:
            service = await rig.start()
            await subscription(service, f"http://127.0.0.1:{listener.port}/some/path", ALL)
            rig.source.emit(change(3, 2, "<&>"))
            headers, body = await listener.next()
        assert headers["cimexport"] == "MethodRequest"
        assert headers["cimexportmethod"] == "ExportIndication"
        assert headers["content-type"] == 'application/xml; charset="utf-8"'
        assert headers["host"] == f"127.0.0.1:{listener.port}"
        assert "transfer-encoding" not in headers
        assert int(headers["content-length"]) == len(body)

    async def test_one_connection_serves_many_indications(self, rig: Rig):
        async with RawListener([GOOD, GOOD]) as listener:
            assert await self.identifiers(rig, listener, 2) == ["a", "b"]
            assert listener.connections == 1

    @pytest.mark.parametrize(
        "bad",
        [b"", FULL, answer(status="503 Busy"), answer("<nonsense"), b"nonsense\r\n\r\n", answer("x" * 100_000)],
    )
    async def test_a_failure_is_retried_at_once_on_a_fresh_connection(self, rig: Rig, bad: bytes):
        async with RawListener([bad, GOOD, GOOD]) as listener:
            assert await self.identifiers(rig, listener, 3) == ["a", "a", "b"]
            assert listener.connections == 2
        assert rig.pauses.begun.empty()

    @pytest.mark.parametrize("closing", [answer(version="1.0"), answer(more="Connection: close\r\n"), answer("  ")])
    async def test_listeners_of_few_words(self, rig: Rig, closing: bytes):
        async with RawListener([closing, GOOD]) as listener:
            assert await self.identifiers(rig, listener, 2) == ["a", "b"]

    @pytest.mark.parametrize(
        "final",
        [answer(status="400 Bad Request", more="CIMError: request-not-valid\r\n"), answer(status="404 Not Found")],
    )
    async def test_what_is_refused_for_good_is_not_retried(self, rig: Rig, final: bytes):
        async with RawListener([final, GOOD]) as listener:
            assert await self.identifiers(rig, listener, 2) == ["a", "b"]

    async def test_redirects_are_not_followed(self, rig: Rig):
        async with RawListener([GOOD]) as elsewhere:
            moved = answer(status="307 Moved", more=f"Location: http://127.0.0.1:{elsewhere.port}/\r\n")
            async with RawListener([moved, GOOD]) as listener:
                assert await self.identifiers(rig, listener, 2) == ["a", "b"]
            assert elsewhere.connections == 0


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return certificates.ensure(tmp_path_factory.mktemp("tls"), ["localhost", "127.0.0.1"])


class TestTls:
    @staticmethod
    def context(tls: Tls) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate, tls.key)
        return context

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
    async def test_a_listener_with_a_certificate_that_is_known(self, rig: Rig, tls: Tls, host: str):
        async with RawListener([GOOD], self.context(tls)) as listener:
            service = await rig.start(delivery=DeliverySettings(authorities=tls.certificate, timeout=5))
            await subscription(service, f"https://{host}:{listener.port}", ALL)
            rig.source.emit(change(3, 2))
            headers, _ = await listener.next()
            assert headers["host"] == f"{host}:{listener.port}"

    async def test_a_listener_with_a_certificate_that_is_not_gets_nothing(self, rig: Rig, tls: Tls):
        async with RawListener([GOOD], self.context(tls)) as listener:
            service = await rig.start()
            await subscription(service, f"https://localhost:{listener.port}", ALL)
            rig.source.emit(change(3, 2))
            seconds, _ = await rig.pauses.next()
            assert seconds == 30
            assert listener.requests.empty()

    async def test_unless_the_settings_say_so(self, rig: Rig, tls: Tls):
        async with RawListener([GOOD], self.context(tls)) as listener:
            service = await rig.start(delivery=DeliverySettings(verify=False, timeout=5))
            await subscription(service, f"https://localhost:{listener.port}", ALL)
            rig.source.emit(change(3, 2))
            await listener.next()
