"""Tasks: calls that run on their own, their outcome, and cancelling them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from xenapi_core.access.local import LocalUsers, set_password
from xenapi_core.access.sessions import LOCAL
from xenapi_core.classes.task import FINISHED_LIMIT, PENDING_LIMIT
from xenapi_core.datamodel import NULL, POOL_ADMIN, Caller, Role, XenApiError
from xenapi_core.datamodel.types import STRING, VOID, Reference
from xenapi_core.limits import DEFAULT


@pytest.fixture
async def session(api):
    """The API with a session."""
    await api.login()
    return api


async def ended(api, task: str) -> dict[str, object]:
    """Wait until a task has ended, as clients do, and return its record."""
    token = (await api.do("event.from", ["task"], "", 0.0))["token"]
    while True:
        record = await api.do("task.get_record", task)
        if record["status"] not in ("pending", "cancelling"):
            return record
        token = (await api.do("event.from", [f"task/{task}"], token, 10.0))["token"]


async def test_a_call_runs_as_a_task(session, pool):
    vm = pool.vm("Halted")
    task = await session.do("Async.VM.start", vm, False)
    record = await ended(session, task)
    assert record["status"] == "success"
    assert record["name_label"] == "Async.VM.start"
    assert (record["result"], record["error_info"], record["progress"]) == ("", [], 1.0)
    assert record["created"].value <= record["finished"].value
    assert record["allowed_operations"] == ["destroy"]
    assert await session.do("VM.get_power_state", vm) == "Running"


async def test_a_failure_is_told_in_the_task(session, pool):
    vm = pool.vm("Running")
    record = await ended(session, await session.do("Async.VM.start", vm, False))
    assert record["status"] == "failure"
    assert record["error_info"] == ["VM_BAD_POWER_STATE", vm, "halted", "running"]


async def test_arguments_are_checked_before_there_is_a_task(session):
    assert (await session.fails("Async.VM.start"))[0] == "MESSAGE_PARAMETER_COUNT_MISMATCH"
    assert (await session.fails("Async.VM.start", "x", False))[0] == "HANDLE_INVALID"
    assert await session.do("task.get_all") == []


async def run(api, kind, work) -> dict[str, object]:
    return await ended(api, api.tasks.begin(Caller("root", POOL_ADMIN), "work", kind, work))


async def test_a_result_is_the_text_of_a_value(session):
    async def answer(handle):
        return "a<b"

    async def refer(handle):
        return NULL

    assert (await run(session, STRING, answer))["result"] == "<value>a&lt;b</value>"
    record = await run(session, Reference("VM"), refer)
    assert (record["result"], record["type"]) == (f"<value>{NULL}</value>", "VM")


async def test_an_unforeseen_error_is_told_too(session):
    async def broken(handle):
        raise ZeroDivisionError("never mind")

    record = await run(session, VOID, broken)
    assert record["error_info"] == ["INTERNAL_ERROR", "ZeroDivisionError('never mind')"]


async def test_progress_is_told(session):
    told = []

    async def work(handle):
        for step in (0.25, 0.2501, 0.5, 7.0):
            handle.progress(step)
            told.append(float(session.store.record(handle.ref)["progress"]))

    await run(session, VOID, work)
    assert told == [0.25, 0.25, 0.5, 1.0]


async def test_a_running_task_can_be_cancelled(session):
    begun = asyncio.Event()
    undone = []

    async def work(handle):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            undone.append(True)

    task = session.tasks.begin(Caller("root", POOL_ADMIN), "work", VOID, work)
    await begun.wait()
    assert await session.do("task.get_allowed_operations", task) == ["cancel", "destroy"]
    await session.do("task.cancel", task)
    record = await ended(session, task)
    assert record["status"] == "cancelled"
    assert record["error_info"] == ["TASK_CANCELLED", task]
    assert undone
    assert (await session.fails("task.cancel", task))[0] == "OPERATION_NOT_ALLOWED"


async def test_a_client_can_keep_a_task_of_its_own(session):
    task = await session.do("task.create", "upload", "an image")
    await session.do("task.set_progress", task, 0.5)
    assert await session.do("task.get_progress", task) == 0.5
    assert await session.fails("task.set_progress", task, 2.0) == ["INVALID_VALUE", "value", "2.0"]
    await session.do("task.set_result", task, "<value>x</value>")
    await session.do("task.set_status", task, "success")
    record = await session.do("task.get_record", task)
    assert (record["status"], record["result"], record["progress"]) == ("success", "<value>x</value>", 1.0)
    await session.do("task.destroy", task)
    assert await session.fails("task.get_record", task) == ["HANDLE_INVALID", "task", task]


async def test_a_task_that_is_destroyed_while_it_runs_goes_when_it_ends(session):
    go = asyncio.Event()

    async def work(handle):
        await go.wait()

    task = session.tasks.begin(Caller("root", POOL_ADMIN), "work", VOID, work)
    await session.do("task.destroy", task)
    assert list((await session.do("task.get_current_operations", task)).values()) == ["destroy"]
    token = await session.do("event.inject", "task", task)
    go.set()
    batch = await session.do("event.from", [f"task/{task}"], token, 5.0)
    while not any(each["operation"] == "del" for each in batch["events"]):
        batch = await session.do("event.from", [f"task/{task}"], batch["token"], 5.0)
    assert await session.do("task.get_all") == []


async def test_finished_tasks_are_bounded_in_number_and_age(session):
    root = Caller("root", POOL_ADMIN)
    refs = [session.tasks.create(root, str(number)) for number in range(DEFAULT.finished_tasks + 5)]
    for ref in refs:
        session.tasks.set(ref, status="success")
    assert await session.do("task.get_all") == refs[5:]
    pending = session.tasks.create(root, "pending")
    session.tasks.collect(datetime.now(UTC) + FINISHED_LIMIT + timedelta(minutes=1))
    assert await session.do("task.get_all") == [pending]
    session.tasks.collect(datetime.now(UTC) + PENDING_LIMIT + timedelta(minutes=1))
    assert await session.do("task.get_all") == []


async def test_weak_roles_can_only_change_their_own_tasks(api, tmp_path):
    set_password(tmp_path / "users", "reader", "pw", Role.READ_ONLY)
    root = api.tasks.create(Caller("root", POOL_ADMIN), "root's")
    api.sessions._users[LOCAL] = LocalUsers(tmp_path / "users")
    api.door = type(api.door)("tcp", authentication="local")
    await api.login("reader", "pw")
    assert (await api.fails("task.cancel", root))[0] == "RBAC_PERMISSION_DENIED"
    own = await api.do("task.create", "own", "")
    await api.do("task.cancel", own)
    assert await api.do("task.get_status", own) == "cancelled"


async def test_stopping_ends_all_work(session):
    async def work(handle):
        await asyncio.Event().wait()

    task = session.tasks.begin(Caller("root", POOL_ADMIN), "work", VOID, work)
    await session.tasks.stop()
    assert session.store.record(task)["status"] == "cancelled"
    with pytest.raises(XenApiError):
        session.tasks.cancel(task)
