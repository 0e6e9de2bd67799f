"""Providers that raise, hang, answer late or answer nonsense hurt only the request that asked them."""

from __future__ import annotations

import asyncio
import threading

import pytest
import pywbem
import structlog.testing

from cim_provider import CimError, MethodResult, Status


@pytest.fixture
def limited(start, tools):
    """A server whose providers have little time."""
    running = start(may_wait=True, provider_limit=0.2)
    running.provider.put(tools.setting(1), tools.system(1))
    return running


def reset(server) -> tuple:
    return server.connect().InvokeMethod("Reset", "T_System")


def fails(ask, status=pywbem.CIM_ERR_FAILED) -> str:
    with pytest.raises(pywbem.CIMError) as caught:
        ask()
    assert caught.value.status_code == status
    return caught.value.status_description


def test_a_coroutine_that_hangs_is_cancelled(limited):
    ended = threading.Event()

    async def hang(*_):
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    limited.provider.invoke_method = hang
    assert "0.2 seconds" in fails(lambda: reset(limited))
    assert ended.wait(10)
    assert len(limited.connect().EnumerateInstances("T_System")) == 1


def test_a_function_runs_on_a_thread(limited):
    threads = []

    def plain(*_):
        threads.append(threading.current_thread())
        return MethodResult(7)

    limited.provider.invoke_method = plain
    assert reset(limited)[0] == 7
    assert limited.thread not in threads


def test_a_function_may_hand_out_a_coroutine(limited):
    async def answer():
        return MethodResult(8)

    limited.provider.invoke_method = lambda *_: answer()
    assert reset(limited)[0] == 8


@pytest.mark.parametrize(
    ("error", "status"),
    [(RuntimeError("inner"), pywbem.CIM_ERR_FAILED), (TimeoutError(), pywbem.CIM_ERR_FAILED),
     (CimError(Status.ACCESS_DENIED, "No."), pywbem.CIM_ERR_ACCESS_DENIED)],
)  # fmt: skip
def test_what_a_function_raises_is_told(limited, error, status):
    def plain(*_):
        raise error

    limited.provider.invoke_method = plain
    assert "inner" not in fails(lambda: reset(limited), status)


def test_a_function_that_hangs_keeps_nobody_else_waiting(limited):
    may_end = threading.Event()

    def hang(*_):
        may_end.wait(20)
        return MethodResult(0)

    limited.provider.invoke_method = hang
    try:
        for _ in range(3):
            fails(lambda: reset(limited))
        assert len(limited.connect().EnumerateInstances("T_System")) == 1
    finally:
        may_end.set()


def test_a_view_that_hangs_keeps_nobody_else_waiting(limited):
    may_end = threading.Event()

    class Hanging(type(limited.provider.current)):
        def instances(self, class_name):
            return self._hang(class_name) or super().instances(class_name)

        def instance(self, name):
            return self._hang(name.class_name) or super().instance(name)

        def references(self, association, name, role=None):
            return self._hang(name.class_name) or super().references(association, name, role)

        def _hang(self, class_name):
            if class_name == "T_Setting":
                may_end.wait(20)

    limited.provider.current = Hanging(**vars(limited.provider.current))
    client = limited.connect()
    name = pywbem.CIMInstanceName("T_Setting", {"InstanceID": "setting 1"})
    try:
        for ask in (
            lambda: client.EnumerateInstances("T_Setting"),
            lambda: client.GetInstance(name),
            lambda: client.Associators(name),
            lambda: client.ReferenceNames(name),
            lambda: client.DeleteInstance(name),
        ):
            fails(ask)
            assert len(client.EnumerateInstances("T_System")) == 1
    finally:
        may_end.set()


@pytest.mark.parametrize(
    "wrong",
    [{"Caption": 5}, {"Flag": "yes"}, {"S8": 128}, {"S64": "many"}, {"U64": -1}, {"U64": True}, {"R64": "x"},
     {"Since": "today"}, {"Words": "one"}, {"Words": 3}, {"Codes": [70000]}, {"Setting": 4}],
)  # fmt: skip
def test_a_value_of_a_wrong_type_is_blamed_on_its_provider(limited, tools, wrong):
    (name,) = wrong
    limited.provider.put(tools.named("T_System", {"Name": "wrong", "Number": 2}, **wrong))
    client = limited.connect()
    with structlog.testing.capture_logs() as entries:
        fails(lambda: client.EnumerateInstances("T_System"))
    (entry,) = [each for each in entries if each["event"] == "provider_gave_wrong_value"]
    assert (entry["provider"], entry["member"]) == (["TestProvider"], f"T_System.{name}")
    assert len(client.EnumerateInstances("T_Setting")) == 1


@pytest.mark.parametrize(
    "result",
    [
        MethodResult("many"),
        MethodResult(0, {"Echo": 4}),
        MethodResult(0, {"Job": "x"}),
        MethodResult(0, {"No": 1}),
        MethodResult(0, {"Kind": 1}),
        None,
    ],
)
def test_a_wrong_result_of_a_method_fails(limited, result):
    limited.provider.invoke_method = lambda *_: result
    fails(lambda: reset(limited))
    assert len(limited.connect().EnumerateInstances("T_System")) == 1


def test_a_provider_of_functions_is_started_and_stopped(limited, start):
    calls = []
    limited.provider.start = lambda: calls.append("start")
    limited.provider.stop = lambda: calls.append("stop")
    limited.run(limited.server.broker.start())
    limited.run(limited.server.broker.stop())
    assert calls == ["start", "stop"]
