"""A provider run for hosts that have no loop."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from cim_provider import (
    CimError,
    Context,
    Indication,
    Instance,
    InstanceName,
    MethodResult,
    Principal,
    Provider,
    Status,
)
from cim_provider.threaded import ThreadedHost

CONTEXT = Context(Principal("somebody"), "root/cimv2")
NAME = InstanceName("Xen_Counter", (("InstanceID", "1"),))


class Counter(Provider):
    """Counts; its only thread is its loop's."""

    @property
    def declarations(self):
        return {}

    def __init__(self) -> None:
        self.count = 0
        self.threads: set[str] = set()
        self.sinks: list = []
        self.stopped = False
        self.forever = asyncio.Event()

    def view(self):
        return self.count

    async def refresh(self, classes):
        self.count += len(classes)

    async def stop(self) -> None:
        self.stopped = True

    async def create_instance(self, context, instance):
        return instance.name

    async def modify_instance(self, context, name, changes, property_list):
        self.count = changes["Count"]

    async def delete_instance(self, context, name):
        raise CimError(Status.NOT_FOUND, "No such counter.")

    async def invoke_method(self, context, target, method, inputs):
        self.threads.add(threading.current_thread().name)
        if method == "Wait":
            await self.forever.wait()
        if method == "Fail":
            raise TimeoutError("the provider's own")
        seen = self.count
        await asyncio.sleep(0)
        self.count = max(self.count, seen) + 1
        for sink in self.sinks:
            sink(Indication(Instance("Xen_Counted", {"Count": self.count})))
        return MethodResult(self.count)

    def watch(self, classes, sink):
        self.sinks.append(sink)
        return lambda: self.sinks.remove(sink)


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def host(counter):
    host = ThreadedHost(counter)
    host.start()
    yield host
    host.stop()


def test_calls_from_many_threads_are_answered_on_one(host, counter):
    told: list[tuple[int, str]] = []
    end = host.watch(
        ["Xen_Counted"], lambda each: told.append((each.instance.get("Count"), threading.current_thread().name))
    )
    with ThreadPoolExecutor(16) as threads:
        calls = [threads.submit(host.invoke_method, CONTEXT, NAME, "Count", {}) for _ in range(200)]
        assert sorted(call.result().value for call in calls) == list(range(1, 201))
    assert counter.threads == {"cim-provider"}
    assert told == [(number, "cim-provider") for number in range(1, 201)]
    end()
    host.invoke_method(CONTEXT, NAME, "Count", {})
    assert len(told) == 200
    assert host.view() == 201


def test_results_and_errors_come_back(host, counter):
    assert host.create_instance(CONTEXT, Instance("Xen_Counter", {}, NAME)) == NAME
    host.modify_instance(CONTEXT, NAME, {"Count": 7}, None)
    assert host.view() == 7
    with pytest.raises(CimError, match="No such counter"):
        host.delete_instance(CONTEXT, NAME)
    with pytest.raises(TimeoutError, match="the provider's own"):
        host.invoke_method(CONTEXT, NAME, "Fail", {})


def test_a_view_shows_what_was_refreshed_before(host):
    host.refresh({"xen_counter", "xen_other"})
    assert host.view() == 2


def test_a_call_that_takes_too_long_is_given_up(counter):
    host = ThreadedHost(counter, timeout=0.05)
    host.start()
    with pytest.raises(CimError, match=r"within 0\.05 seconds"):
        host.invoke_method(CONTEXT, NAME, "Wait", {})
    host.stop()


def test_stopping_ends_calls_that_wait(host, counter):
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(host.invoke_method, CONTEXT, NAME, "Wait", {})
        while not counter.threads:
            pass
        host.stop()
        with pytest.raises(CimError, match="stopped"):
            waiting.result(5)
    assert counter.stopped
    with pytest.raises(CimError, match="stopped"):
        host.invoke_method(CONTEXT, NAME, "Count", {})
    host.stop()


def test_it_can_be_started_again_but_not_twice(host):
    with pytest.raises(RuntimeError, match="runs already"):
        host.start()
    host.stop()
    host.start()
    assert host.invoke_method(CONTEXT, NAME, "Count", {}).value == 1


def test_a_start_that_fails_says_why():
    class Broken(Provider):
        async def start(self):
            raise OSError("no disk")

    host = ThreadedHost(Broken())
    with pytest.raises(OSError, match="no disk"):
        host.start()
    host.stop()


def test_the_providers_own_thread_is_told_that_it_cannot_wait(host, counter):
    errors = []

    def sink(_indication):
        try:
            host.invoke_method(CONTEXT, NAME, "Count", {})
        except RuntimeError as error:
            errors.append(str(error))

    host.watch(["Xen_Counted"], sink)
    host.invoke_method(CONTEXT, NAME, "Count", {})
    assert errors == ["The provider's own thread cannot wait for the provider."]
