"""Metrics at a door of their own, as the parser of Prometheus' own library reads them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text

from netserve.doors import Door
from xenapi_core.metrics import METRICS
from xenapi_server import ServedPool, Wire

DOOR = Door("metrics", authentication=METRICS)


@pytest.fixture
def served() -> Iterator[ServedPool]:
    pool = ServedPool(DOOR, hosts=1, vms=2)
    yield pool
    pool.close()


@pytest.fixture
def wire(served: ServedPool) -> Wire:
    return served.connect()


class Seen:
    """What a scrape told."""

    def __init__(self, served: ServedPool, accept: str = "text/plain") -> None:
        answer = httpx.get(f"{served.url('metrics')}/metrics", headers={"Accept": accept})
        assert answer.status_code == 200
        self.content_type = answer.headers["content-type"]
        self.text = answer.text
        parse = open_metrics if "openmetrics" in self.content_type else plain_text
        self.families = {family.name: family for family in parse(answer.text)}
        self.samples = {
            (each.name, *sorted(each.labels.items())): each.value
            for family in self.families.values()
            for each in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float:
        return self.samples.get((name, *sorted(labels.items())), 0.0)


def test_calls_errors_and_latencies(served, wire):
    before = Seen(served)
    vm = wire.do("VM.get_all")[0]
    for _ in range(3):
        wire.do("VM.get_record", vm)
    wire.attempt("VM.get_record", "x")
    wire.attempt("VM.none")
    wire.attempt("NONE.none")
    wire.do("VM.set_name_label", vm, "renamed")
    wire.post(b"no XML")
    seen = Seen(served)

    def grown(name: str, **labels: str) -> float:
        return seen(name, **labels) - before(name, **labels)

    assert grown("xenapi_calls_total", message="VM.get_record", result="success") == 3
    assert grown("xenapi_calls_total", message="VM.get_record", result="failure") == 1
    assert grown("xenapi_calls_total", message="VM.set_name_label", result="success") == 1
    assert grown("xenapi_calls_total", message="unknown", result="failure") == 2
    assert "NONE.none" not in seen.text
    assert grown("xenapi_errors_total", code="HANDLE_INVALID") == 1
    assert grown("xenapi_errors_total", code="MESSAGE_METHOD_UNKNOWN") == 2
    assert grown("xenapi_errors_total", code="malformed") == 1
    assert grown("xenapi_call_seconds_count", kind="read") == 5
    assert grown("xenapi_call_seconds_count", kind="other") == 1
    assert 0 < grown("xenapi_call_seconds_sum", kind="read") < 60
    assert grown("xenapi_journal_write_seconds_count") >= 1
    assert grown("xenapi_changes_total") >= 1
    assert seen("xenapi_journal_bytes", file="database") > 0
    assert seen("xenapi_objects", **{"class": "VM"}) == len(wire.do("VM.get_all"))
    assert seen("process_resident_memory_bytes") > 0


def test_sessions_and_queues(served, wire):
    seen = Seen(served)
    assert seen("xenapi_sessions", authentication="peer") == 1
    assert seen("xenapi_connections", door="socket") == 1
    assert seen("xenapi_queue_length", queue="event_readers") == 0
    reader = served.connect()
    token = reader.do("event.from", ["task"], "", 0.0)["token"]
    waiting = threading.Thread(target=reader.do, args=("event.from", ["task"], token, 30.0))
    waiting.start()
    limit = time.monotonic() + 30
    while not (seen := Seen(served))("xenapi_queue_length", queue="event_readers"):
        assert time.monotonic() < limit
    assert seen("xenapi_queue_length", queue="calls") == 1
    assert seen("xenapi_sessions", authentication="peer") == 2
    task = wire.do("task.create", "wakes the reader", "")
    waiting.join(30)
    wire.do("task.destroy", task)
    reader.do("session.logout")
    seen = Seen(served)
    assert seen("xenapi_queue_length", queue="event_readers") == 0
    assert seen("xenapi_sessions", authentication="peer") == 1
    assert seen("xenapi_calls_total", message="event.from", result="success") == 2


def test_the_door_has_nothing_else_and_other_doors_have_no_metrics(served, wire):
    url = served.url("metrics")
    assert httpx.get(url).status_code == 404
    assert httpx.head(f"{url}/metrics").content == b""
    call = b"<methodCall><methodName>system.listMethods</methodName><params/></methodCall>"
    assert httpx.post(url, content=call).status_code == 405
    socket = httpx.HTTPTransport(uds=str(served.path))
    assert httpx.Client(transport=socket).get("http://localhost/metrics").status_code == 405


def test_both_formats_are_given(served, wire):
    assert Seen(served).content_type.startswith("text/plain; version=0.0.4")
    seen = Seen(served, "application/openmetrics-text; version=1.0.0")
    assert "openmetrics" in seen.content_type
    assert seen("xenapi_calls_total", message="session.login_with_password", result="success") == 1


def test_every_metric_says_what_it_is(served, wire):
    families = Seen(served).families.values()
    assert {family.name for family in families if not family.documentation} == set()


def test_nothing_is_secret(served, wire):
    wire.attempt(wire.session)
    wire.error("VM.get_all", "OpaqueRef:other")
    assert "OpaqueRef" not in Seen(served).text


def test_nothing_is_counted_without_such_a_door(served, wire):
    served.reopen()
    wire.do("VM.get_all")
    served.reopen(DOOR)
    wire.do("host.get_all")
    seen = Seen(served)
    assert seen("xenapi_calls_total", message="VM.get_all", result="success") == 0
    assert seen("xenapi_calls_total", message="host.get_all", result="success") == 1
