"""The interop namespace and subscriptions, as pywbem and pywbemcli use them over HTTP."""

from __future__ import annotations

import asyncio
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pywbem

from cim_provider import (
    CimError,
    ClassDeclaration,
    Indication,
    Instance,
    InstanceName,
    Principal,
    Provider,
    Status,
)
from netserve.doors import Door
from pycimom.repository import Repository
from pycimom.server import CimServer, Registration, Settings
from pycimom.static import StaticView, declare

USER, PASSWORD = "alice", "secret"


class Users:
    async def authenticate(self, user: str, password: str) -> Principal:
        if (user, password) != (USER, PASSWORD):
            raise CimError(Status.ACCESS_DENIED, "The user or the password is wrong.")
        return Principal(user, may_administer=True)


class Systems(Provider):
    """One system, whose changes the test raises."""

    def __init__(self, repository: Repository) -> None:
        names = ("Test_System", "Test_SystemModification")
        self._declarations = {name: declare(repository.get("root/cimv2", name)) for name in names}
        self._sinks: dict[Callable[[Indication], None], Collection[str]] = {}

    @property
    def declarations(self) -> Mapping[str, ClassDeclaration]:
        return self._declarations

    def view(self) -> StaticView:
        return StaticView.of([self.system(2)])

    def watch(self, classes: Collection[str], sink: Callable[[Indication], None]) -> Callable[[], None]:
        self._sinks[sink] = classes
        return lambda: self._sinks.pop(sink) and None

    def system(self, state: int) -> Instance:
        keys = {"CreationClassName": "Test_System", "Name": "vm1"}
        name = InstanceName("Test_System", tuple(keys.items()), "root/cimv2")
        return Instance("Test_System", {**keys, "EnabledState": state}, name)

    def change(self, before: int, after: int) -> None:
        instance = Instance(
            "Test_SystemModification",
            {
                "IndicationTime": datetime(2024, 1, 1, tzinfo=UTC),
                "PreviousInstance": self.system(before),
                "SourceInstance": self.system(after),
            },
        )
        for sink in list(self._sinks):
            sink(Indication(instance))


class Running:
    """A server on a loop of its own, so that blocking clients can talk to it."""

    def __init__(self, repository: Repository, state: Path) -> None:
        self.systems = Systems(repository)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        settings = Settings(repository, [Door("http")], host="host.example", version="4.5.6", state=state)
        self._server = CimServer(settings, [Registration(self.systems)], Users())
        self._run(self._server.start())
        self.url = self._server.doors[0].url

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def connect(self) -> pywbem.WBEMConnection:
        return pywbem.WBEMConnection(self.url, (USER, PASSWORD), default_namespace="root/cimv2")

    def change(self, before: int, after: int) -> None:
        self._loop.call_soon_threadsafe(self.systems.change, before, after)

    def stop(self) -> None:
        self._run(self._server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def server(repository: Repository, tmp_path: Path) -> Iterator[Running]:
    running = Running(repository, tmp_path)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def listener() -> Iterator[tuple[str, queue.Queue[pywbem.CIMInstance]]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    received: queue.Queue[pywbem.CIMInstance] = queue.Queue()
    listener = pywbem.WBEMListener("127.0.0.1", http_port=port)
    listener.add_callback(lambda indication, _: received.put(indication))
    listener.start()
    yield f"http://127.0.0.1:{port}", received
    listener.stop()


def pywbemcli(server: Running, *arguments: str) -> str:
    command = [Path(sys.executable).with_name("pywbemcli"), "-s", server.url, "-u", USER, "-p", PASSWORD, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_pywbem_finds_out_what_the_server_is(server: Running):
    with server.connect() as connection:
        found = pywbem.WBEMServer(connection)
        assert found.interop_ns == "root/interop"
        assert sorted(found.namespaces) == ["root/cimv2", "root/interop"]
        assert (found.brand, found.version) == ("pycimom", "4.5.6")
        assert connection.GetInstance(found.cimom_inst.path) == found.cimom_inst
        assert found.cimom_inst["SystemName"] == "host.example"


@pytest.mark.parametrize("owned", [True, False])
def test_the_subscription_manager_of_pywbem(server: Running, listener, owned: bool):
    url, received = listener
    query = "SELECT * FROM Test_SystemModification WHERE SourceInstance.EnabledState <> PreviousInstance.EnabledState"
    with server.connect() as connection, pywbem.WBEMSubscriptionManager("tests") as manager:
        server_id = manager.add_server(pywbem.WBEMServer(connection))
        mine = {"owned": True, "filter_id": "f"} if owned else {"owned": False, "name": "f"}
        there = {"owned": True, "destination_id": "d"} if owned else {"owned": False, "name": "d"}
        chosen = manager.add_filter(server_id, "root/cimv2", query, "WQL", **mine)
        destination = manager.add_destination(server_id, url, **there)
        (subscription,) = manager.add_subscriptions(server_id, chosen.path, destination.path, owned=owned)
        assert subscription["SubscriptionState"] == 2
        assert [each.path for each in manager.get_all_subscriptions(server_id)] == [subscription.path]
        (reference,) = connection.ReferenceNames(chosen.path, ResultClass="CIM_IndicationSubscription")
        assert reference.keybindings == subscription.path.keybindings
        server.change(2, 2)
        server.change(3, 2)
        found = received.get(timeout=20)
        assert (found["PreviousInstance"]["EnabledState"], found["SourceInstance"]["EnabledState"]) == (3, 2)
        assert (found["SequenceNumber"], found["IndicationFilterName"]) == (0, chosen["Name"])
        with pytest.raises(pywbem.CIMError) as error:
            connection.DeleteInstance(destination.path)
        assert error.value.status_code == pywbem.CIM_ERR_FAILED
        if not owned:
            manager.remove_subscriptions(server_id, subscription.path)
            manager.remove_filter(server_id, chosen.path)
            manager.remove_destinations(server_id, destination.path)
        manager.remove_server(server_id)
        for class_name in ("CIM_IndicationFilter", "CIM_ListenerDestinationCIMXML", "CIM_IndicationSubscription"):
            assert connection.EnumerateInstances(class_name, namespace="root/interop") == []
    assert received.empty()


def test_another_address_is_refused(server: Running):
    destination = pywbem.CIMInstance("CIM_ListenerDestinationCIMXML", {"Destination": "http://192.0.2.1:5000"})
    with server.connect() as connection:
        with pytest.raises(pywbem.CIMError) as error:
            connection.CreateInstance(destination, namespace="root/interop")
        assert error.value.status_code == pywbem.CIM_ERR_ACCESS_DENIED


def test_a_bad_query_is_told_to_the_client(server: Running):
    properties = {"Query": "SELECT * FROM Test_SystemModification WHERE Nonsense = 1", "QueryLanguage": "WQL"}
    with server.connect() as connection:
        with pytest.raises(pywbem.CIMError) as error:
            connection.CreateInstance(pywbem.CIMInstance("CIM_IndicationFilter", properties), namespace="root/interop")
        assert error.value.status_code == pywbem.CIM_ERR_INVALID_QUERY
        assert "Nonsense" in error.value.status_description


def test_the_subscription_commands_of_pywbemcli(server: Running, listener):
    url, received = listener
    pywbemcli(server, "subscription", "add-destination", "d1", "--listener-url", url, "--permanent")
    query = "SELECT * FROM CIM_InstModification"
    pywbemcli(
        server, "subscription", "add-filter", "f1", "-q", query, "--source-namespaces", "root/cimv2", "--permanent"
    )
    pywbemcli(server, "subscription", "add-subscription", "d1", "f1", "--permanent")
    assert "CIM_IndicationSubscription" in pywbemcli(server, "subscription", "list-subscriptions", "--names-only")
    server.change(3, 2)
    assert received.get(timeout=20)["SourceInstance"]["EnabledState"] == 2
    pywbemcli(server, "subscription", "remove-subscription", "d1", "f1")
    pywbemcli(server, "subscription", "remove-filter", "f1", "--permanent")
    pywbemcli(server, "subscription", "remove-destination", "d1", "--permanent")


def test_the_namespace_and_server_commands_of_pywbemcli(server: Running):
    assert "root/cimv2" in pywbemcli(server, "namespace", "list")
    assert "root/interop" in pywbemcli(server, "namespace", "interop")
    told = pywbemcli(server, "server", "info")
    assert "pycimom" in told
    assert "4.5.6" in told
