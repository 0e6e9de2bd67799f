"""pycimom goes on while xenapid dies and comes back: it shows the last state meanwhile, and then the new one.

When it dies itself, what it had to tell is told by the next.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pywbem
import XenAPI

from bridge_process import short_folder
from netserve import certificates
from xen_tools import schema
from xenapi_core.access.local import set_password

USER, PASSWORD = "operator", "a password for this test"


@contextlib.contextmanager
def daemon(module: str, *arguments: str) -> Iterator[dict[str, str]]:
    """Run a daemon, yield its doors, and end it with SIGKILL."""
    command = [sys.executable, "-m", f"xen_tools.{module}", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield json.loads(process.stdout.readline())["doors"]
        finally:
            process.kill()


@pytest.fixture
def folder() -> Iterator[Path]:
    path = short_folder()
    certificates.ensure(path / "tls")
    set_password(path / "users", USER, PASSWORD)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def xenapid(folder: Path, port: str = "0") -> contextlib.AbstractContextManager[dict[str, str]]:
    kept = ["--state", str(folder / "xenapid"), "--users", str(folder / "users"), "--tls", str(folder / "tls")]
    return daemon("xenapid", *kept, "--socket", str(folder / "api.sock"), "--http", port, "--https", "0", "--vms", "6")


def pycimom(folder: Path, xen_api: dict[str, str]) -> contextlib.AbstractContextManager[dict[str, str]]:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "xen-cim"
    given = os.environ.get("XEN_CIM_SCHEMA")
    archive = schema.obtain(cache, Path(given) if given else None)
    return daemon(
        "pycimom",
        *("--state", str(folder / "pycimom"), "--tls", str(folder / "tls"), "--cache", str(cache)),
        *("--schema", str(archive), "--xen-api", xen_api["xenapi-unix"], "--passwords", xen_api["xenapi-http"]),
        *("--http", "0", "--https", "0"),
    )


def test_a_restart_of_xenapid(folder, until):
    with contextlib.ExitStack() as stack:
        with xenapid(folder) as doors:
            port = str(urlsplit(doors["xenapi-http"]).port)
            cim = stack.enter_context(pycimom(folder, doors))
            wbem = stack.enter_context(
                pywbem.WBEMConnection(cim["cim-http"], (USER, PASSWORD), default_namespace="root/cimv2")
            )
            before = until(lambda: wbem.EnumerateInstances("Xen_ComputerSystem"), "the first read")

        assert wbem.EnumerateInstances("Xen_ComputerSystem") == before, "nobody is there, the last state is"
        target = next(each for each in before if each["EnabledState"] == 3)

        with xenapid(folder, port) as doors:
            session = XenAPI.Session(doors["xenapi-http"])
            session.xenapi.login_with_password(USER, PASSWORD)
            vm = session.xenapi.VM.get_by_uuid(target["Name"])
            session.xenapi.VM.set_name_label(vm, "renamed after the restart")

            def renamed() -> bool:
                return wbem.GetInstance(target.path)["ElementName"] == "renamed after the restart"

            until(renamed, "the change made after the restart")
            unchanged = {each.path: each for each in before if each.path != target.path}
            assert unchanged == {
                each.path: each for each in wbem.EnumerateInstances("Xen_ComputerSystem") if each.path != target.path
            }
            value, _ = wbem.InvokeMethod("RequestStateChange", target.path, RequestedState=pywbem.Uint16(2))
            assert value == 4096
            until(lambda: wbem.GetInstance(target.path)["EnabledState"] == 2, "the start")


def test_a_kill_of_pycimom_loses_no_indication_that_waits(folder, until, receive):
    with contextlib.ExitStack() as stack:
        doors = stack.enter_context(xenapid(folder))
        session = XenAPI.Session(doors["xenapi-http"])
        session.xenapi.login_with_password(USER, PASSWORD)
        vm = next(ref for ref, each in session.xenapi.VM.get_all_records().items() if not each["is_a_template"])
        port = free_port()
        with pycimom(folder, doors) as cim:
            wbem = pywbem.WBEMConnection(cim["cim-http"], (USER, PASSWORD))
            manager = pywbem.WBEMSubscriptionManager("test")
            server = manager.add_server(pywbem.WBEMServer(wbem))
            destination = manager.add_destination(
                server, f"http://127.0.0.1:{port}", owned=False, name="kept", persistence_type="permanent"
            )
            query = "SELECT * FROM CIM_InstModification WHERE SourceInstance ISA Xen_ComputerSystem"
            changes = manager.add_filter(server, "root/cimv2", query, "DMTF:CQL", owned=False, name="changes")
            alerts = manager.add_filter(
                server, "root/cimv2", "SELECT * FROM CIM_AlertIndication", "WQL", owned=False, name="alerts"
            )
            for each in (changes, alerts):
                manager.add_subscriptions(server, each.path, destination.path, owned=False)
            labels = [f"label {number}" for number in range(5)]
            for number, label in enumerate(labels):
                session.xenapi.VM.set_name_label(vm, label)
                until(lambda kept=number + 1: waiting(folder) == kept, "what happened is on disk")
            # Here pycimom is killed, with all of them still undelivered.
        received = receive(port)
        stack.enter_context(pycimom(folder, doors))
        found = [received.get(timeout=60) for _ in range(len(labels) + 1)]
        assert [each["SourceInstance"]["ElementName"] for each in found[:-1]] == labels
        assert [each["SequenceNumber"] for each in found] == [0, 1, 2, 3, 4, 0]
        assert found[-1].classname == "CIM_AlertIndication", "read again: who knows what happened meanwhile"
        assert found[-1]["SequenceContext"] != found[0]["SequenceContext"] == found[-2]["SequenceContext"]


def waiting(folder: Path) -> int:
    """How many indications wait on pycimom's disk."""
    with contextlib.closing(sqlite3.connect(folder / "pycimom" / "instances.sqlite")) as database:
        return database.execute("select count(*) from waiting_indication").fetchone()[0]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def receive() -> Iterator[Callable[[int], queue.Queue[pywbem.CIMInstance]]]:
    """Begin to listen at a port; what comes is in the queue returned."""
    listeners = []

    def receive(port: int) -> queue.Queue[pywbem.CIMInstance]:
        received: queue.Queue[pywbem.CIMInstance] = queue.Queue()
        listener = pywbem.WBEMListener("127.0.0.1", http_port=port)
        listener.add_callback(lambda indication, host: received.put(indication))
        listener.start()
        listeners.append(listener)
        return received

    yield receive
    for each in listeners:
        each.stop()
