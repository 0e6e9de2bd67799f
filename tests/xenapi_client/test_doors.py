"""The client at every kind of door of a real Xen-API server."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from netserve import certificates
from netserve.doors import Door
from xenapi_client import Connection, Inventory, XenApiError, XenApiUnavailable
from xenapi_core.access.local import set_password
from xenapi_core.server import Settings, XenApiServer


@pytest.fixture
async def doors(tmp_path):
    folder = Path(tempfile.mkdtemp(prefix="xen"))  # short: a socket's path has 107 bytes
    set_password(tmp_path / "users", "alice", "open sesame ☃ é")
    doors = [
        Door("http", authentication="local"),
        Door("https", authentication="local", tls=certificates.ensure(tmp_path, ["127.0.0.1", "localhost"])),
        Door("unix", path=folder / "s", authentication="peer"),
    ]
    server = XenApiServer(Settings(tmp_path / "state", doors, tmp_path / "users", hosts=1, vms=2))
    await server.start()
    yield {door.name: door for door in server.doors}
    await server.stop()
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", ["http", "https", "unix"])
async def test_every_door_can_be_used(doors, name):
    door = doors[name]
    ca_file = door.tls.certificate if door.tls else None
    connection = Connection(door.url, "alice", "open sesame ☃ é", ca_file=ca_file)
    refs = await connection.call("VM.get_all")
    record = await connection.call("VM.get_record", refs[-1])
    assert record["power_state"] == "Halted"
    assert isinstance(record["memory_static_max"], str)
    inventory = Inventory(connection)
    inventory.start()
    assert await inventory.wait_first(5)
    assert list(inventory.version.records("VM")) == refs
    assert inventory.version.get("VM", refs[-1])["uuid"] == record["uuid"]

    await connection.call("VM.set_name_label", refs[-1], "a\r\n<b>&☃")
    token = await connection.call("event.inject", "VM", refs[-1])
    assert await inventory.wait_beyond(token, 5)
    assert inventory.version.get("VM", refs[-1])["name_label"] == "a\r\n<b>&☃"
    await inventory.stop()
    await connection.close()


async def test_a_certificate_of_a_stranger_is_refused(doors):
    connection = Connection(doors["https"].url, "alice", "open sesame ☃ é")
    with pytest.raises(XenApiUnavailable, match="certificate"):
        await connection.call("VM.get_all")
    await connection.close()


async def test_a_wrong_password_is_refused(doors):
    connection = Connection(doors["http"].url, "alice", "wrong")
    with pytest.raises(XenApiError) as error:
        await connection.call("VM.get_all")
    assert error.value.code == "SESSION_AUTHENTICATION_FAILED"
    assert "wrong" not in str(error.value)
    await connection.close()
