"""Jobs can be asked why they failed, stopped and removed (DSP1103)."""

from __future__ import annotations

import asyncio

import pytest

from cim_provider import CimError, Status
from xen_providers.methods.call import Call

GOING, COMPLETED, TERMINATED, EXCEPTION = 4, 7, 8, 10


@pytest.fixture
def begin(provider, context_of, halted, xen, system_name):
    """Begin work as a job of a user, as if a method had done it; return the job's name."""

    async def begin(work, user="root", job_class="Xen_VirtualSystemCreateJob"):
        record = await xen.call("VM.get_record", halted)
        principal = (await context_of(user)).principal
        name = await system_name(halted)
        view, workshop = provider.view(), provider._workshop
        call = Call(halted, record, name, "DefineSystem", principal, view, provider._replica, workshop)
        return (await call.begin(job_class, work)).outputs["Job"]

    return begin


class Endless:
    """Work that makes a VM and then goes on until it is stopped."""

    def __init__(self, xen, halted) -> None:
        self.begun = asyncio.Event()
        self._xen, self._halted = xen, halted

    async def __call__(self, work) -> None:
        await work.make("VM.clone", self._halted, "a clone")
        self.begun.set()
        await asyncio.Event().wait()

    async def left(self) -> list[str]:
        return await self._xen.call("VM.get_by_name_label", "a clone")


@pytest.fixture
def endless(xen, halted) -> Endless:
    return Endless(xen, halted)


def state(provider, job) -> int:
    return provider.view().instance(job).get("JobState")


@pytest.mark.parametrize("requested", [4, "4", 5])
async def test_a_job_is_stopped_and_its_work_undone(provider, context, begin, endless, requested):
    job = await begin(endless)
    await endless.begun.wait()
    assert state(provider, job) == GOING
    assert len(await endless.left()) == 1
    result = await provider.invoke_method(context, job, "RequestStateChange", {"RequestedState": requested})
    assert (result.value, state(provider, job), await endless.left()) == (0, TERMINATED, [])
    result = await provider.invoke_method(context, job, "RequestStateChange", {"RequestedState": requested})
    assert result.value == 4097


@pytest.mark.parametrize(("requested", "value"), [(2, 4097), (3, 4097), (6, 4097), (7, 5), (None, 5), ("stop", 5)])
async def test_other_states_cannot_be_requested(provider, context, begin, endless, requested, value):
    job = await begin(endless)
    result = await provider.invoke_method(context, job, "RequestStateChange", {"RequestedState": requested})
    assert (result.value, state(provider, job)) == (value, GOING)


async def test_a_task_of_the_xen_api_is_stopped_too(provider, context, xen, system_name, until):
    running = [
        ref
        for ref, each in (await xen.call("VM.get_all_records")).items()
        if each["power_state"] == "Running" and not each["is_control_domain"]
    ]
    begun = await provider.invoke_method(
        context, await system_name(running[0]), "RequestStateChange", {"RequestedState": 6}
    )
    job = begun.outputs["Job"]
    stopped = await provider.invoke_method(context, job, "KillJob", {})
    ended = await until(
        lambda view: view.instance(job).get("JobState") in (COMPLETED, TERMINATED) and view.instance(job)
    )
    # The suspend may have been faster; then there was nothing to stop any more.
    assert (stopped.value == 0) == (ended.get("JobState") == TERMINATED)


async def test_killing_may_remove_the_job(provider, context, begin, endless):
    job = await begin(endless)
    await endless.begun.wait()
    assert (await provider.invoke_method(context, job, "KillJob", {"DeleteOnKill": True})).value == 0
    assert provider.view().instance(job) is None
    assert await endless.left() == []


async def test_a_job_that_has_ended_cannot_be_killed_but_removed(provider, context, begin, until):
    async def work(under_way) -> None:
        return None

    job = await begin(work)
    await until(lambda view: view.instance(job).get("JobState") == COMPLETED)
    assert (await provider.invoke_method(context, job, "KillJob", {"DeleteOnKill": "x"})).value == 4
    assert (await provider.invoke_method(context, job, "KillJob", {})).value == 4
    assert state(provider, job) == COMPLETED
    assert (await provider.invoke_method(context, job, "KillJob", {"DeleteOnKill": True})).value == 0
    assert provider.view().instance(job) is None


async def test_the_job_of_another_user_goes_on(provider, context_of, begin, endless):
    job = await begin(endless, "root")
    for method in ("RequestStateChange", "KillJob"):
        with pytest.raises(CimError) as denied:
            await provider.invoke_method(await context_of("operator"), job, method, {"RequestedState": 4})
        assert denied.value.status is Status.ACCESS_DENIED
    assert state(provider, job) == GOING


async def test_a_job_tells_why_it_failed(provider, context, begin, until, halted):
    async def work(under_way) -> None:
        await under_way.slowly("VM.resume", halted, False, False)

    job = await begin(work)
    failed = await until(lambda view: view.instance(job).get("JobState") == EXCEPTION and view.instance(job))
    result = await provider.invoke_method(context, job, "GetError", {})
    error = result.outputs["Error"]
    assert result.value == 0
    assert (error.class_name, error.get("MessageID")) == ("CIM_Error", "VM_BAD_POWER_STATE")
    assert error.get("Message") == failed.get("ErrorDescription")
    assert [each.lower() for each in error.get("MessageArguments")] == [halted.lower(), "suspended", "halted"]
    (same,) = (await provider.invoke_method(context, job, "GetErrors", {})).outputs["Errors"]
    assert same.properties == error.properties


async def test_a_job_that_did_not_fail_has_no_error(provider, context, begin, endless):
    job = await begin(endless)
    for method in ("GetError", "GetErrors"):
        result = await provider.invoke_method(context, job, method, {})
        assert (result.value, result.outputs) == (0, {})


async def test_the_outcome_of_the_method_is_kept_with_the_job(provider, begin, until, system_name, halted):
    may_end = asyncio.Event()

    async def work(under_way) -> None:
        await may_end.wait()

    job = await begin(work)
    (pair,) = provider.view().references("Xen_AssociatedJobMethodResult", job, "Job")
    result = provider.view().instance(pair.get("JobParameters"))
    assert (result.get("ElementName"), result.get("PostCallIndication")) == ("DefineSystem", None)
    may_end.set()
    ended = await until(lambda view: view.instance(result.name).get("PostCallIndication"))
    assert (ended.class_name, ended.get("MethodName")) == ("CIM_InstMethodCall", "DefineSystem")
    assert (ended.get("ReturnValue"), ended.get("PreCall")) == ("0", False)
    source = ended.get("SourceInstance")
    assert (source.class_name, source.properties) == ("Xen_ComputerSystem", dict((await system_name(halted)).keys))
