"""The server as a whole, with a client that nobody here wrote: PyPI XenAPI over TCP, TLS and a unix socket."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import sqlite3
import threading
import time
import xmlrpc.client
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import XenAPI

from netserve import certificates
from netserve.doors import Door
from netserve.server import DoorError
from xenapi_core.access import pam
from xenapi_core.access.local import UsersFileError, set_password
from xenapi_core.access.sessions import Session
from xenapi_core.scenario import ScenarioError
from xenapi_core.server import JOURNAL, Settings, SettingsError, XenApiServer
from xenapi_core.store import JournalError
from xenapi_core.store.journal import Journal


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder whose path is short and free of underscores: XenAPI turns those of a socket's path into slashes."""
    made = Path("/tmp") / f"xenapi-{os.getpid()}-{time.monotonic_ns()}"
    made.mkdir(mode=0o700)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def settings(folder: Path) -> Settings:
    """Settings with a door of every kind, and the user root with the password "right"."""
    set_password(folder / "users", "root", "right")
    tls = certificates.ensure(folder / "tls", ["localhost", "127.0.0.1"])
    doors = (
        Door("http", authentication="local"),
        Door("https", tls=tls, authentication="local"),
        Door("socket", path=folder / "api.sock", authentication="peer"),
    )
    return Settings(folder / "state", doors, folder / "users", vms=6)


class Running:
    """A server on an event loop in a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = XenApiServer(settings)
        self.do(self.server.start())

    def do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def stop(self) -> None:
        self.do(self.server.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    def waiting(self) -> bool:
        """Whether anybody waits for an event."""
        return any(each.waiting for each in gc.get_objects() if isinstance(each, Session))

    def connect(self, name: str, user: str = "root", password: str = "right") -> Any:
        """Return a logged-in session of PyPI XenAPI at a door."""
        door = next(each for each in self.server.doors if each.name == name)
        if door.path is not None:
            url = f"http://{str(door.path).replace('/', '_')}/"
            session = XenAPI.Session(url, transport=XenAPI.UDSTransport())
        else:
            session = XenAPI.Session(door.url, ignore_ssl=True)
        session.xenapi.login_with_password(user, password)
        return session


@pytest.fixture
def running(settings: Settings) -> Iterator[Running]:
    """A running server; its state stays from test to test."""
    server = Running(settings)
    yield server
    server.stop()


def halted(xenapi: Any) -> str:
    """Return a halted VM."""
    records = xenapi.VM.get_all_records()
    return next(ref for ref, each in records.items() if each["power_state"] == "Halted" and not each["is_a_template"])


@pytest.mark.parametrize("door", ["http", "https", "socket"])
def test_the_documented_session_works_at_every_door(running, door):
    session = running.connect(door)
    names = [session.xenapi.VM.get_record(vm)["name_label"] for vm in session.xenapi.VM.get_all()]
    assert len(names) == len(session.xenapi.VM.get_all_records()) > 6
    vm = halted(session.xenapi)
    session.xenapi.VM.start(vm, False)
    with pytest.raises(XenAPI.Failure) as failure:
        session.xenapi.VM.start(vm, False, False)
    assert failure.value.details == ["VM_BAD_POWER_STATE", vm, "halted", "running"]
    session.xenapi.VM.hard_shutdown(vm)
    session.xenapi.session.logout()


def test_passwords_are_checked_where_they_have_to_be(running):
    with pytest.raises(XenAPI.Failure) as failure:
        running.connect("http", password="wrong")
    assert failure.value.details[0] == "SESSION_AUTHENTICATION_FAILED"
    assert running.connect("socket", "anyone", "anything").xenapi.VM.get_all()


def test_a_restart_gives_back_everything(settings):
    first = Running(settings)
    session = first.connect("http")
    vm = halted(session.xenapi)
    session.xenapi.VM.start(vm, False)
    session.xenapi.VM.set_name_label(vm, "kept")
    before = {cls: getattr(session.xenapi, cls).get_all_records() for cls in ("VM", "VBD", "VIF", "VDI", "host")}
    orders = session.xenapi.VM.get_all()
    first.stop()

    second = Running(settings)
    session = second.connect("http")
    assert {cls: getattr(session.xenapi, cls).get_all_records() for cls in before} == before
    assert session.xenapi.VM.get_all() == orders
    session.xenapi.VM.hard_shutdown(vm)
    second.stop()


def test_a_waiting_reader_does_not_hold_up_the_end(settings):
    running = Running(settings)
    session = running.connect("http")
    token = session.xenapi.event.inject("pool", session.xenapi.pool.get_all()[0])
    batch = getattr(session.xenapi.event, "from")(["*"], token, 0.0)
    assert [each["class"] for each in batch["events"]] == ["pool"]
    plain = xmlrpc.client.ServerProxy(running.server.doors[0].url)
    with ThreadPoolExecutor(1) as reader:
        waiting = reader.submit(getattr(plain, "event.from"), session.handle, ["network"], batch["token"], 60.0)
        while not running.waiting():
            time.sleep(0.001)
        begun = time.monotonic()
        running.stop()
        assert time.monotonic() - begun < 4
        assert waiting.result(10)["ErrorDescription"][0] == "SESSION_INVALID"


def test_a_journal_that_fails_is_told(running, monkeypatch):
    session = running.connect("http")
    vm = halted(session.xenapi)
    failed = asyncio.run_coroutine_threadsafe(running.server.failed(), running.loop)

    def full(entries: Any) -> None:
        raise JournalError("The journal cannot be written: the disk is full.")

    monkeypatch.setattr(Journal, "write", lambda self, entries: full(entries))
    with pytest.raises(XenAPI.Failure) as failure:
        session.xenapi.VM.set_name_label(vm, "lost")
    assert failure.value.details[0] == "INTERNAL_ERROR"
    assert "disk is full" in str(failed.result(10))
    assert session.xenapi.VM.get_name_label(vm) != "lost"


async def test_a_journal_without_a_pool_is_damaged_and_never_an_empty_pool(settings):
    settings = replace(settings, vms=1)
    server = XenApiServer(settings)
    await server.start()
    await server.stop()
    journal = settings.state / JOURNAL
    with closing(sqlite3.connect(journal)) as database, database:
        database.execute("DELETE FROM objects WHERE class = 'pool'")
    with pytest.raises(JournalError, match=rf"{journal} is damaged: it holds no pool\."):
        await XenApiServer(settings).start()
    journal.write_bytes(b"")
    with pytest.raises(JournalError, match=rf"{journal} is damaged: the file is empty\."):
        await XenApiServer(settings).start()


async def test_a_pam_door_tells_at_its_opening_what_it_cannot_check(settings, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pam, "PASSWORDS", tmp_path / "shadow")
    local = Door("local", authentication="local")
    server = XenApiServer(replace(settings, state=tmp_path, doors=[local], vms=1))
    await server.start()
    try:
        assert "cannot be read" not in "".join(capsys.readouterr())
        await server.reopen([local, Door("pam", authentication="pam")])
        assert f"The password database {tmp_path}/shadow cannot be read" in "".join(capsys.readouterr())
    finally:
        await server.stop()


@pytest.mark.parametrize(
    ("door", "problem"),
    [
        (Door("lan", host="0.0.0.0", authentication="none"), "'lan' at 0.0.0.0 would let everybody in"),
        (Door("lan", host="::", authentication="none"), "would let everybody in"),
        (Door("tcp", authentication="peer"), "'tcp' can only trust its peers if it is a unix socket"),
        (Door("tcp", authentication="magic"), "authentication 'magic'; known are local, pam, none, peer"),
        (Door("tcp", authentication="none", allowed_origins=("*",)), "cannot be open to every web page"),
        (Door("tcp", authentication="local", allowed_origins=("ops.example.com",)), "not like https://host:port"),
    ],
)
def test_doors_that_would_be_unsafe_are_refused(settings, door, problem):
    with pytest.raises(SettingsError, match=problem):
        XenApiServer(replace(settings, doors=[door]))


async def test_a_start_that_fails_says_why_and_leaves_nothing_open(settings, tmp_path):
    settings = replace(settings, state=tmp_path / "state")
    for changed, error in (
        ({"scenario": tmp_path / "nowhere.toml"}, ScenarioError),
        ({"users": tmp_path}, UsersFileError),
        ({"doors": [Door("socket", path=tmp_path / "no" / "folder", authentication="peer")]}, DoorError),
        ({"state": Path("/proc/nowhere")}, JournalError),
    ):
        with pytest.raises(error, match=r"\.$"):
            await XenApiServer(replace(settings, **changed)).start()
    server = XenApiServer(settings)
    await server.start()
    assert (tmp_path / "state" / JOURNAL).exists()
    with pytest.raises(JournalError, match="in use by another process"):
        await XenApiServer(settings).start()
    await server.stop()
