"""What one call may be like, and how many may be under way."""

from __future__ import annotations

import asyncio
import json

import pytest

from xenapi_core.classes.event import Registrations
from xenapi_core.classes.task import Tasks
from xenapi_core.limits import Limits
from xenapi_core.wire import jsonrpc
from xenapi_core.wire.dispatch import Dispatcher
from xenapi_core.wire.http import XenApiHandler


@pytest.fixture
async def limited(api):
    """The API with narrow limits, and a session."""
    limits = Limits(body_size=8000, values=20, nesting=3, batch=2, waiting_readers=2, pending_tasks=3, finished_tasks=1)
    api.tasks = api.services[Tasks] = Tasks(api.store, api.encoder.text, limits)
    api.services[Registrations] = Registrations(limits)
    api.dispatcher = Dispatcher(api.store.model, api.store, api.services)
    api.handler = XenApiHandler(api.dispatcher, api.encoder, jsonrpc.Encoder(api.store.samples), limits)
    await api.login()
    return api


async def test_the_size_of_a_call(limited):
    assert (await limited.post(b" " * 8001)).status == 413
    assert (await limited.post(b" " * 8000)).status == 200


async def test_the_nesting_of_values(limited):
    assert (await limited.fails("VM.set_tags", "x", [[]]))[0] != "INVALID_VALUE"
    deep = "<value><array><data>" * 4 + "</data></array></value>" * 4
    call = f"<methodCall><methodName>VM.set_tags</methodName><params><param>{deep}</param></params></methodCall>"
    assert b"nested too deeply" in b"".join((await limited.post(call.encode())).body)
    as_json = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "VM.set_tags", "params": [[[[]]]]}).encode()
    assert b"nested too deeply" in b"".join((await limited.post(as_json, path="/jsonrpc")).body)


async def test_the_number_of_values(limited):
    """Texts may hold whatever looks like values."""
    for path, text, fits in [
        ("/", "<value><string>a,b</string></value>", True),
        ("/", "<value><struct>" + "<member><name>a</name><value/></member>" * 40 + "</struct></value>", False),
        ("/", "<value/>" * 161, False),
        ("/", "<value " + " ".join(f"a{number}=''" for number in range(600)) + "/>", False),
        ("/jsonrpc", json.dumps([",[{" * 50 + '"' * 30 + "\\" * 3]), True),
        ("/jsonrpc", json.dumps([dict.fromkeys(map(str, range(12)), "a")]), True),
        ("/jsonrpc", json.dumps([[]] * 21), False),
        ("/jsonrpc", json.dumps([["", ""]] * 41), False),
    ]:
        call = f"<methodCall><methodName>x</methodName><params><param>{text}</param></params></methodCall>"
        if path != "/":
            call = f'{{"jsonrpc": "2.0", "id": 1, "method": "x", "params": {text}}}'
        answer = b"".join((await limited.post(call.encode(), path=path)).body)
        assert (b"MESSAGE_METHOD_UNKNOWN" in answer) is fits, (text, answer)


async def test_an_encoding_in_which_nothing_can_be_counted(limited):
    prolog = '<?xml version="1.0" encoding="{}"?><methodCall><methodName>x</methodName></methodCall>'
    for encoding, fits in {"utf-8": True, "ISO-8859-1": True, "UTF-16": True, "utf-7": False, "cp037": False}.items():
        body = prolog.format(encoding).encode("utf-16" if encoding == "UTF-16" else "ascii")
        assert (b"MESSAGE_METHOD_UNKNOWN" in b"".join((await limited.post(body)).body)) is fits, encoding
    assert b"not well-formed" in b"".join((await limited.post(prolog.format("cp037").encode("cp037"))).body)


async def test_the_calls_of_a_batch(limited):
    call = {"jsonrpc": "2.0", "id": 1, "method": "system.isAlive", "params": []}
    answers = [await limited.post(json.dumps([call] * number).encode(), path="/jsonrpc") for number in (2, 3)]
    assert [each.status for each in answers] == [200, 500]


async def test_readers_that_wait(limited):
    await limited.do("event.register", ["pool"])
    token = (await limited.do("event.from", ["pool"], "", 0.0))["token"]
    waiting = [
        asyncio.create_task(limited.do("event.from", ["pool"], token, 60.0)),
        asyncio.create_task(limited.do("event.next")),
    ]
    for _ in range(20):
        await asyncio.sleep(0)
    assert await limited.fails("event.from", ["pool"], token, 60.0) == ["TOO_BUSY"]
    assert await limited.fails("event.next") == ["TOO_BUSY"]
    assert (await limited.do("event.from", ["pool"], "", 0.0))["token"]
    pool = (await limited.do("pool.get_all"))[0]
    await limited.do("pool.set_name_label", pool, "another")
    await asyncio.gather(*waiting)
    assert (await limited.do("event.from", ["pool"], token, 0.0))["events"]


async def test_a_reader_that_hangs_up_leaves_its_place(limited):
    token = (await limited.do("event.from", ["pool"], "", 0.0))["token"]
    for _ in range(3):
        waiting = asyncio.create_task(limited.do("event.from", ["pool"], token, 60.0))
        for _ in range(20):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert (await limited.do("event.from", ["pool"], token, 0.0))["events"] == []


async def test_tasks_that_have_not_ended(limited, pool):
    tasks = [await limited.do("task.create", "mine", "") for _ in range(3)]
    assert await limited.fails("task.create", "mine", "") == ["TOO_MANY_PENDING_TASKS"]
    assert await limited.fails("Async.VM.start", pool.vm("Halted"), False, False) == ["TOO_MANY_PENDING_TASKS"]
    await limited.do("task.set_status", tasks[0], "success")
    await limited.do("task.create", "mine", "")


async def test_tasks_that_have_ended(limited):
    for _ in range(3):
        await limited.do("task.set_status", await limited.do("task.create", "mine", ""), "success")
    assert len(await limited.do("task.get_all")) == 1
