"""Very many instances: memory stays flat while they are pulled, and clients that vanish leave nothing behind."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import large_model
from cim_provider import Instance, InstanceName
from pycimom.static import StaticView

COUNT = 100_000
BATCH = 1000
FLAT = 16 * 1024 * 1024
"""What may be added to a process, beyond its first batches, by whatever comes after them."""
PATIENCE = 30.0


class Large:
    """The server's process, and raw requests to it, so that the client costs little."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.port = int(process.stdout.readline())

    @property
    def resident(self) -> int:
        """Bytes of memory that the server's process holds."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGESIZE")

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def send(self, connection: http.client.HTTPConnection, operation: str, **parameters: str) -> None:
        path = "".join(f'<NAMESPACE NAME="{each}"/>' for each in large_model.NAMESPACE.split("/"))
        given = "".join(
            f'<IPARAMVALUE NAME="{name}">'
            + (f'<CLASSNAME NAME="{value}"/>' if name == "ClassName" else f"<VALUE>{value}</VALUE>")
            + "</IPARAMVALUE>"
            for name, value in parameters.items()
        )
        body = (
            '<CIM CIMVERSION="2.0" DTDVERSION="2.0"><MESSAGE ID="1" PROTOCOLVERSION="1.0"><SIMPLEREQ>'
            f'<IMETHODCALL NAME="{operation}"><LOCALNAMESPACEPATH>{path}</LOCALNAMESPACEPATH>{given}</IMETHODCALL>'
            "</SIMPLEREQ></MESSAGE></CIM>"
        )
        headers = {
            "Content-Type": "application/xml; charset=utf-8",
            "CIMOperation": "MethodCall",
            "CIMMethod": operation,
            "CIMObject": large_model.NAMESPACE,
            "Authorization": "Basic dTpw",
        }
        connection.request("POST", "/cimom", body, headers)

    def call(self, connection: http.client.HTTPConnection, operation: str, **parameters: str) -> str:
        self.send(connection, operation, **parameters)
        return connection.getresponse().read().decode()

    def open(self, connection: http.client.HTTPConnection, **parameters: str) -> str:
        return self.call(
            connection,
            "OpenEnumerateInstances",
            ClassName=large_model.CLASS,
            MaxObjectCount=str(BATCH),
            OperationTimeout="2",
            **parameters,
        )


def context_of(answer: str) -> str | None:
    found = re.search(r'NAME="EnumerationContext"[^>]*><VALUE>([^<]+)</VALUE>', answer)
    return found[1] if found else None


def numbers(answer: str) -> list[int]:
    return [int(each) for each in re.findall(r'<PROPERTY NAME="Number"[^>]*><VALUE>(\d+)</VALUE>', answer)]


@pytest.fixture
def large() -> Iterator[Large]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, large_model.__file__, str(COUNT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        yield Large(process)
        process.communicate(timeout=20)


@pytest.mark.slow
class TestLargeModel:
    def test_all_are_pulled_with_flat_memory(self, large: Large):
        connection = large.connect()
        answer = large.open(connection)
        seen = len(numbers(answer))
        first = most = 0
        while (context := context_of(answer)) is not None:
            answer = large.call(
                connection, "PullInstancesWithPath", EnumerationContext=context, MaxObjectCount=str(BATCH)
            )
            found = numbers(answer)
            assert found == list(range(seen, seen + len(found)))
            seen += len(found)
            if seen == 10 * BATCH:
                first = large.resident
            most = max(most, large.resident)
        assert seen == COUNT
        assert most - first < FLAT, f"{first} bytes after ten batches, {most} at most"

    def test_all_are_filtered(self, large: Large):
        connection = large.connect()
        wanted = "Number &lt; 50000 AND Codes[0] = 3"
        answer = large.open(connection, FilterQueryLanguage="DMTF:FQL", FilterQuery=wanted)
        found = numbers(answer)
        while (context := context_of(answer)) is not None:
            answer = large.call(
                connection, "PullInstancesWithPath", EnumerationContext=context, MaxObjectCount=str(BATCH)
            )
            found += numbers(answer)
        assert found == list(range(3, 50_000, 7))

    @pytest.mark.timeout(180)
    def test_clients_that_vanish_leave_nothing_behind(self, large: Large):
        for _ in range(3):
            self.vanish_amid_an_answer(large)
        before = large.resident
        for _ in range(5):
            self.vanish_amid_an_answer(large)
        for _ in range(5):
            connection = large.connect()
            assert context_of(large.open(connection)) is not None
            connection.close()
        connection = large.connect()
        assert 'ERROR CODE="27"' in large.open(connection)  # all five sessions are in use
        deadline = time.monotonic() + PATIENCE
        while context_of(answer := large.open(connection)) is None:
            assert time.monotonic() < deadline, answer[:500]
        assert large.resident - before < FLAT

    @staticmethod
    def vanish_amid_an_answer(large: Large) -> None:
        connection = large.connect()
        large.send(connection, "EnumerateInstances", ClassName=large_model.CLASS)
        with contextlib.suppress(OSError):
            connection.getresponse().read(10_000)
        connection.close()


def test_a_write_costs_the_same_however_many_instances_there_are():
    def item(number: int) -> Instance:
        return Instance("Item", {"Id": number}, InstanceName("Item", (("Id", number),)))

    def writes(view: StaticView) -> float:
        began = time.perf_counter()
        for number in range(-500, 0):
            view = view.replaced([item(number)])
            assert view.instance(InstanceName("Item", (("Id", number),)))
        return time.perf_counter() - began

    few, many = (StaticView.of([item(number) for number in range(count)]) for count in (100, 50_000))
    fast = min(writes(few) for _ in range(3))
    assert min(writes(many) for _ in range(3)) < 10 * fast
