"""Work of several steps: all of it is done, or nothing of it is left; as jobs too, and over restarts of the bridge."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from cim_provider import CimError, InstanceName, Status
from xen_providers.access import XenPrincipal
from xen_providers.methods.call import Call
from xen_providers.methods.outcomes import Failure, MethodError
from xen_providers.methods.work import JOB, UNFINISHED, Work
from xen_providers.provider import XenProvider

CLASSES = ("VM", "VBD", "VIF", "VDI", "network", "VLAN", "SR", "console")


@pytest.fixture
async def call(provider, context, halted, xen, system_name) -> Call:
    """A call about a halted VM."""
    record = await xen.call("VM.get_record", halted)
    name = await system_name(halted)
    view, workshop = provider.view(), provider._workshop
    return Call(halted, record, name, "Test", context.principal, view, provider._replica, workshop)


@pytest.fixture
def objects(xen) -> Any:
    """Everything that there is, by class, less what is only marked."""

    async def objects() -> dict[str, set[str]]:
        return {cls: set(await xen.call(f"{cls}.get_all")) for cls in CLASSES}

    return objects


async def marked(xen) -> list[str]:
    found = []
    for cls in CLASSES:
        records = await xen.call(f"{cls}.get_all_records")
        found += [
            ref for ref, each in records.items() if each.get("other_config", {}).get(UNFINISHED, "").endswith(ref)
        ]
    return found


async def disk(work: Work, xen: Any, size: int = 1 << 20) -> str:
    (sr, _) = next(
        (ref, each) for ref, each in (await xen.call("SR.get_all_records")).items() if each["content_type"] == "user"
    )
    record = {
        "name_label": "made",
        "name_description": "",
        "SR": sr,
        "virtual_size": str(size),
        "type": "user",
        "sharable": False,
        "read_only": False,
        "other_config": {},
    }
    return await work.make("VDI.create", record)


async def nic(work: Work, call: Call, xen: Any) -> str:
    network = (await xen.call("network.get_all"))[0]
    return await work.make(
        "VIF.create",
        {
            "device": "6",
            "network": network,
            "VM": call.ref,
            "MAC": "",
            "MTU": "1500",
            "other_config": {},
            "qos_algorithm_type": "",
            "qos_algorithm_params": {},
        },
    )


async def everything(work: Work, call: Call, xen: Any) -> None:
    await work.make("VM.clone", call.ref, "a clone")
    await disk(work, xen)
    await nic(work, call, xen)
    await work.make_slowly("VM.copy", call.ref, "a copy", "OpaqueRef:NULL", until=0.9)


async def test_what_was_done_stays_and_is_marked_no_longer(call, xen, objects):
    before = await objects()
    await call.do(lambda work: everything(work, call, xen))
    after = await objects()
    made = Counter({cls: len(after[cls] - before[cls]) for cls in CLASSES})
    assert (made["VM"], made["VIF"] >= 1) == (2, True)
    assert await marked(xen) == []


@pytest.mark.parametrize("steps", range(1, 5))
async def test_nothing_is_left_of_what_failed(call, xen, objects, steps):
    before = await objects()
    left = steps

    class FailsAt(Work):
        async def _keep(self, cls: str, ref: str) -> str:
            nonlocal left
            await super()._keep(cls, ref)
            left -= 1
            if not left:
                raise MethodError(Failure.FAILED, "The roof is on fire.")
            return ref

    async def work(under_way: Work) -> None:
        under_way.__class__ = FailsAt
        await everything(under_way, call, xen)

    with pytest.raises(MethodError, match="roof"):
        await call.do(work)
    assert await objects() == before


async def test_a_caller_who_goes_away_stops_nothing(call, xen, objects):
    before = await objects()
    begun, may_go_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work(under_way: Work) -> None:
        begun.set()
        await may_go_on.wait()
        await disk(under_way, xen)
        done.set()

    waiting = asyncio.create_task(call.do(work))
    await begun.wait()
    waiting.cancel()
    may_go_on.set()
    await done.wait()
    assert len((await objects())["VDI"] - before["VDI"]) == 1


async def job_record(provider: XenProvider, name: InstanceName) -> Any:
    task, _ = provider.view().find("task", str(name.get("InstanceID")).removeprefix("Xen:"))
    async for record in provider._replica.follow("task", task):
        if record["status"] not in ("pending", "cancelling"):
            return record
    raise AssertionError("the task is gone")


async def test_a_job_tells_how_far_it_is_and_what_came_of_it(call, provider, xen):
    async def first(under_way: Work) -> dict[str, int]:
        return {"Extra": 1}

    async def work(under_way: Work) -> None:
        await under_way.progress(0.5)
        await under_way.make_slowly("VM.clone", call.ref, "a clone", until=0.75)
        await under_way.tell("xen-cim:result:ResultingSystem", "a clone")

    answer = await call.begin("Xen_VirtualSystemCreateJob", work, {"detail": "x"}, first)
    assert (answer.value, answer.outputs["Extra"]) == (4096, 1)
    job = answer.outputs["Job"]
    assert job.class_name == "Xen_VirtualSystemCreateJob"
    record = await job_record(provider, job)
    assert record["status"] == "success"
    config = record["other_config"]
    assert config[JOB] == "Xen_VirtualSystemCreateJob"
    assert config["detail"] == "x"
    assert config["xen-cim:method"] == "Test"
    assert config["xen-cim:result:ResultingSystem"] == "a clone"
    assert await marked(xen) == []


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MethodError(Failure.FAILED, "No.", "SR_FULL", ("1", "2")), ["SR_FULL", "1", "2"]),
        (CimError(Status.ACCESS_DENIED, "Not you."), ["ACCESS_DENIED", "Not you."]),
        (ZeroDivisionError("secret"), ["INTERNAL_ERROR", "ZeroDivisionError"]),
    ],
)
async def test_a_job_that_fails_says_why_and_leaves_nothing(call, provider, xen, objects, error, told):
    before = await objects()

    async def work(under_way: Work) -> None:
        await disk(under_way, xen)
        raise error

    record = await job_record(provider, (await call.begin("Xen_Job", work)).outputs["Job"])
    assert (record["status"], record["error_info"]) == ("failure", told)
    assert await objects() == before


async def test_a_slow_call_that_fails_fails_the_work(call, provider, xen, objects):
    before = await objects()

    async def work(under_way: Work) -> None:
        await disk(under_way, xen)
        await under_way.slowly("VM.resume", call.ref, False, False)

    record = await job_record(provider, (await call.begin("Xen_Job", work)).outputs["Job"])
    assert record["status"] == "failure"
    assert record["error_info"][0] == "VM_BAD_POWER_STATE"
    assert await objects() == before


async def test_a_job_that_is_cancelled_is_undone(call, provider, xen, objects):
    before = await objects()
    begun = asyncio.Event()

    async def work(under_way: Work) -> None:
        await disk(under_way, xen)
        begun.set()
        await asyncio.Event().wait()

    job = (await call.begin("Xen_Job", work)).outputs["Job"]
    await begun.wait()
    task, _ = provider.view().find("task", job.get("InstanceID").removeprefix("Xen:"))
    await provider._workshop.cancel(task)
    record = await job_record(provider, job)
    assert record["status"] == "cancelled"
    assert await objects() == before


async def test_a_job_that_is_cancelled_within_a_call_is_undone(call, provider, xen, objects, monkeypatch):
    """The server does what it was asked to, whether or not somebody still waits for the answer."""
    before = await objects()
    under_way, may_answer = asyncio.Event(), asyncio.Event()
    original = XenPrincipal.call

    async def slow(principal: XenPrincipal, method: str, *parameters: object) -> Any:
        answer = await original(principal, method, *parameters)
        if method == "VDI.create":
            under_way.set()
            await may_answer.wait()
        return answer

    monkeypatch.setattr(XenPrincipal, "call", slow)
    job = (await call.begin("Xen_Job", lambda work: disk(work, xen))).outputs["Job"]
    await under_way.wait()
    task, _ = provider.view().find("task", job.get("InstanceID").removeprefix("Xen:"))
    cancelling = asyncio.create_task(provider._workshop.cancel(task))
    await asyncio.sleep(0)
    may_answer.set()
    await cancelling
    assert (await job_record(provider, job))["status"] == "cancelled"
    assert await objects() == before


async def test_the_next_run_removes_what_the_last_one_left(pool, call, provider, xen, objects):
    before = await objects()
    begun = asyncio.Event()

    async def work(under_way: Work) -> None:
        await everything(under_way, call, xen)
        begun.set()
        await asyncio.Event().wait()

    job = (await call.begin("Xen_Job", work)).outputs["Job"]
    await begun.wait()
    assert await marked(xen)
    other = XenProvider(pool.url("unix"), worker="another bridge")
    await other.start()
    await other._recovery
    assert len(await marked(xen)) == 4
    await other.stop()
    copied = await xen.call("VM.clone", call.ref, "a copy that somebody else made meanwhile")
    before["VM"].add(copied)
    before["VIF"].update(await xen.call("VM.get_VIFs", copied))
    before["VBD"].update(await xen.call("VM.get_VBDs", copied))
    before["VDI"].update([await xen.call("VBD.get_VDI", vbd) for vbd in await xen.call("VM.get_VBDs", copied)])
    before["VDI"].discard("OpaqueRef:NULL")
    before["console"].update(await xen.call("VM.get_consoles", copied))
    again = XenProvider(pool.url("unix"))
    await again.start()
    await again._recovery
    try:
        assert await objects() == before
        record = await job_record(again, job)
        assert record["status"] == "failure"
        assert "stopped" in record["error_info"][1]
    finally:
        await again.stop()


@pytest.mark.parametrize("at", ["Async.VM.clone", "task.destroy"])
async def test_what_a_slow_call_made_goes_though_the_work_is_cancelled_between_its_calls(call, xen, objects, at):
    """Between the request for the task and its answer, and after the task has ended."""
    before = await objects()
    within, may_go_on = asyncio.Event(), asyncio.Event()
    original = call.xen

    async def slow(message: str, *parameters: object) -> Any:
        answer = await original(message, *parameters)
        if message == at:
            within.set()
            await may_go_on.wait()
        return answer

    async def work(under_way: Work) -> None:
        under_way._xen = slow
        await under_way.make_slowly("VM.clone", call.ref, "a clone")
        await asyncio.Event().wait()

    await call.begin("Xen_Job", work)
    await within.wait()
    (task,) = call.workshop._jobs
    cancelling = asyncio.create_task(call.workshop.cancel(task))
    await asyncio.sleep(0)
    may_go_on.set()
    await cancelling
    assert await objects() == before
