"""RequestStateChange and its jobs, on a real pool."""

from __future__ import annotations

import pytest

from cim_provider import CimError, Context, InstanceName, Principal, Status
from xen_providers.methods.outcomes import Failure, MethodError
from xen_providers.methods.work import Work
from xenapi_client import XenApiError

RUNNING, COMPLETED, EXCEPTION = 4, 7, 10


@pytest.fixture
def request_state(provider, context, until):
    """Request a state and return the job's instance once it has ended."""

    async def request_state(name: InstanceName, state: object):
        result = await provider.invoke_method(context, name, "RequestStateChange", {"RequestedState": state})
        assert result.value == 4096
        job = result.outputs["Job"]
        assert provider.view().instance(job) is not None, "the job can be read as soon as the method has answered"
        assert job.class_name == "Xen_SystemStateChangeJob"
        await until(lambda view: view.instance(job).get("JobState") != RUNNING)
        return provider.view().instance(job)

    return request_state


async def test_a_start_is_a_job_that_completes(provider, xen, context, halted, system_name, until):
    name = await system_name(halted)
    states = []
    result = await provider.invoke_method(context, name, "requeststatechange", {"REQUESTEDSTATE": 2})
    job = result.outputs["Job"]
    states.append(provider.view().instance(job).get("JobState"))
    await until(lambda view: view.instance(job).get("JobState") == COMPLETED)
    assert states[0] in (RUNNING, COMPLETED)
    found = provider.view().instance(job)
    assert found.get("PercentComplete") == 100
    assert found.get("OperationalStatus") == [17, 2]
    assert found.get("ErrorCode") == 0
    assert found.get("StartTime") <= found.get("TimeOfLastStateChange")
    assert provider.view().instance(name).get("EnabledState") == 2
    assert await xen.call("VM.get_power_state", halted) == "Running"
    (pair,) = provider.view().references("Xen_ComputerSystemAffectedJobElement", name)
    assert pair.properties == {"AffectedElement": name, "AffectingElement": job}
    (again,) = provider.view().references("Xen_ComputerSystemAffectedJobElement", job)
    assert again.name == pair.name
    (owner,) = provider.view().references("Xen_ComputerSystemOwningJobElement", job, "OwnedElement")
    assert owner.properties == {"OwningElement": name, "OwnedElement": job}
    assert [each.name for each in provider.view().references(owner.class_name, name, "OwningElement")] == [owner.name]
    assert provider.view().references("Xen_HostComputerSystemOwningJobElement", job) == []


async def test_every_state_can_be_reached(xen, request_state, halted, system_name):
    name = await system_name(halted)
    way = [
        (2, "Running"),
        (9, "Paused"),
        (2, "Running"),
        (6, "Suspended"),
        (2, "Running"),
        (10, "Running"),
        (11, "Running"),
        (32769, "Running"),
        (3, "Halted"),
        ("2", "Running"),
        (9, "Paused"),
        (4, "Halted"),
        (2, "Running"),
        (32768, "Halted"),
    ]
    for state, power_state in way:
        job = await request_state(name, state)
        assert job.get("JobState") == COMPLETED, (state, job.get("ErrorDescription"))
        assert await xen.call("VM.get_power_state", halted) == power_state


async def test_a_wrong_transition_is_a_job_that_fails(xen, request_state, halted, system_name):
    name = await system_name(halted)
    for state, code in [
        *((state, 4097) for state in (1, 3, 4, 6, 7, 8, 9, 10)),
        *((state, 4) for state in (11, 32768, 32769)),
    ]:
        job = await request_state(name, state)
        assert job.get("JobState") == EXCEPTION
        assert job.get("ErrorCode") == code, state
        assert job.get("ErrorDescription")
        assert job.get("OperationalStatus") == [17, 6]
    assert await xen.call("VM.get_power_state", halted) == "Halted"


async def test_no_state_is_an_invalid_parameter(provider, context, halted, system_name):
    name = await system_name(halted)
    for state in (None, "", "two", -1, 65536, 2.0, True, [2]):
        result = await provider.invoke_method(context, name, "RequestStateChange", {"RequestedState": state})
        assert (result.value, result.outputs) == (5, {}), state


async def test_hosts_are_maintained_switched_off_and_on_and_rebooted(provider, xen, request_state, until):
    pool = next(iter((await xen.call("pool.get_all_records")).values()))
    hosts = await xen.call("host.get_all_records")
    ref, record = next((ref, each) for ref, each in hosts.items() if ref != pool["master"])
    shown_hosts = provider.view().instances("Xen_HostComputerSystem")
    host = next(each for each in shown_hosts if each.get("Name") == record["uuid"])
    way = [
        # state, enabled, live, maintained, EnabledState
        (3, False, True, True, 6),
        (10, True, True, True, 2),
        (4, False, False, True, 6),
        (2, True, True, False, 2),
        ("3", False, True, True, 6),
        (2, True, True, False, 2),
    ]
    for number, (state, enabled, live, maintained, shown) in enumerate(way, 1):
        job = await request_state(host.name, state)
        assert job.get("JobState") == COMPLETED, (state, job.get("ErrorDescription"))
        now = await xen.call("host.get_record", ref)
        assert now["enabled"] is enabled, state
        assert await xen.call("host_metrics.get_live", now["metrics"]) is live
        assert ("MAINTENANCE_MODE" in now["other_config"]) is maintained
        await until(lambda view, shown=shown: view.instance(host.name).get("EnabledState") == shown)
        assert provider.view().instance(host.name).get("AvailableRequestedStates") == ([3] if enabled else [2, 4, 10])
        for kind in ("Affected", "Owning"):
            pairs = provider.view().references(f"Xen_HostComputerSystem{kind}JobElement", host.name, f"{kind}Element")
            assert len(pairs) == number


async def test_what_cannot_be_asked_of_a_host_is_a_job_that_fails(provider, xen, request_state):
    host = provider.view().instances("Xen_HostComputerSystem")[0]
    for state in (1, 5, 6, 9):
        job = await request_state(host.name, state)
        assert (job.get("JobState"), job.get("ErrorCode")) == (EXCEPTION, 4097)


async def test_a_host_that_cannot_go_down_is_enabled_again(provider, xen, request_state, monkeypatch):
    host = provider.view().instances("Xen_HostComputerSystem")[0]
    ref = await xen.call("host.get_by_uuid", host.get("Name"))

    async def slowly(work, message, *parameters, until=1.0):
        raise MethodError(Failure.FAILED, "It will not.", "HOST_IN_USE")

    monkeypatch.setattr(Work, "slowly", slowly)
    job = await request_state(host.name, 4)
    assert (job.get("JobState"), job.get("ErrorCode")) == (EXCEPTION, 4)
    assert await xen.call("host.get_enabled", ref)


async def test_the_call_is_the_callers_own(provider, context_of, halted, system_name, until):
    name = await system_name(halted)
    with pytest.raises(CimError) as denied:
        await provider.invoke_method(await context_of("reader"), name, "RequestStateChange", {"RequestedState": 2})
    assert denied.value.status is Status.ACCESS_DENIED
    result = await provider.invoke_method(
        await context_of("operator"), name, "RequestStateChange", {"RequestedState": 2}
    )
    await until(lambda view: view.instance(result.outputs["Job"]).get("JobState") == COMPLETED)


async def test_who_has_no_session_may_nothing(provider, halted, system_name):
    context = Context(Principal("somebody"), "root/cimv2")
    with pytest.raises(CimError) as denied:
        await provider.invoke_method(context, await system_name(halted), "RequestStateChange", {"RequestedState": 2})
    assert denied.value.status is Status.ACCESS_DENIED


async def test_unknown_things_are_not_found(provider, context, halted, system_name):
    name = await system_name(halted)
    nobody = InstanceName("Xen_ComputerSystem", (("CreationClassName", "Xen_ComputerSystem"), ("Name", "nobody")))
    for target, method, status in [
        (nobody, "RequestStateChange", Status.NOT_FOUND),
        (InstanceName("Xen_Carpet", ()), "RequestStateChange", Status.NOT_FOUND),
        (name, "Levitate", Status.METHOD_NOT_AVAILABLE),
    ]:
        with pytest.raises(CimError) as refused:
            await provider.invoke_method(context, target, method, {"RequestedState": 2})
        assert refused.value.status is status


class TestDeletingJobs:
    """DeleteInstance takes a job away with its task, and nothing else."""

    async def test_a_job_goes_with_its_task(self, provider, xen, context, request_state, halted, system_name):
        job = await request_state(await system_name(halted), 2)
        uuid = job.get("InstanceID").removeprefix("Xen:")
        task = await xen.call("task.get_by_uuid", uuid)
        await provider.delete_instance(context, job.name)
        assert provider.view().instance(job.name) is None
        with pytest.raises(XenApiError, match="HANDLE_INVALID"):
            await xen.call("task.get_record", task)
        with pytest.raises(CimError) as gone:
            await provider.delete_instance(context, job.name)
        assert gone.value.status is Status.NOT_FOUND

    async def test_somebody_elses_job_stays(self, provider, context_of, request_state, halted, system_name):
        job = await request_state(await system_name(halted), 2)
        with pytest.raises(CimError) as denied:
            await provider.delete_instance(await context_of("operator"), job.name)
        assert denied.value.status is Status.ACCESS_DENIED
        assert provider.view().instance(job.name).properties == job.properties

    async def test_a_system_cannot_be_deleted(self, provider, context, halted, system_name):
        with pytest.raises(CimError) as refused:
            await provider.delete_instance(context, await system_name(halted))
        assert refused.value.status is Status.NOT_SUPPORTED


async def test_tasks_of_others_are_no_jobs(provider, xen, halted, until, system_name):
    name = await system_name(halted)
    await xen.call("Async.VM.start", halted, False, False)
    await until(lambda view: view.instance(name).get("EnabledState") == 2)
    assert provider.view().instances("Xen_SystemStateChangeJob") == ()
