"""Both servers as processes of their own, with the limits that they have if nobody says anything."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from configured_daemon import LOCAL, PASSWORD, PYCIMOM, TRUSTING, USER, Daemon, door
from netserve import certificates
from strangers import Server, pycimom, xenapid
from xen_tools.settings import cache_folder, schema_file
from xenapi_core.access.local import set_password

TCP = "127.0.0.1:0"
IMPATIENT = "receive_timeout = 3\n"
"""All that is said: nobody wants to wait for a minute until a slow sender is cut."""


def table(name: str, **values: object) -> str:
    return "\n".join([f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items()), ""])


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Server]]:
    """A pool of 500 VMs and both servers, by name."""
    folder = Path(tempfile.mkdtemp(prefix="hostile-", dir="/tmp"))
    set_password(folder / "users", USER, PASSWORD)
    certificates.ensure(folder / "tls")
    kept = {"users": f"{folder}/users", "tls": f"{folder}/tls", "socket": f"{folder}/sock"}
    settings = table("xenapid", state=f"{folder}/xenapid", vms=500, **kept) + table("xenapid.limits") + IMPATIENT
    daemons = [Daemon(folder / "xenapid.toml", settings + door("unix", TRUSTING) + door(TCP, LOCAL))]
    try:
        assert daemons[0].doors, daemons[0].errors
        kept = {
            "state": f"{folder}/pycimom",
            "tls": f"{folder}/tls",
            "cache": str(cache_folder(os.environ)),
            "xen_api": daemons[0].doors["unix"],
            "passwords": daemons[0].doors[TCP],
        }
        schema = schema_file(os.environ)
        settings = table("pycimom", **kept, **({"schema": str(schema)} if schema else {}))
        settings += table("pycimom.limits") + IMPATIENT + door(TCP).replace("xenapid", "pycimom")
        daemons.append(Daemon(folder / "pycimom.toml", settings, PYCIMOM))
        assert daemons[1].doors, daemons[1].errors
        yield {"xenapid": xenapid(daemons[0], TCP), "pycimom": pycimom(daemons[1], TCP)}
        assert [daemon.process.poll() for daemon in daemons] == [None, None], "a server died under the tests"
    finally:
        for daemon in reversed(daemons):
            daemon.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def server(servers: dict[str, Server], name: str) -> Server:
    return servers[name]
