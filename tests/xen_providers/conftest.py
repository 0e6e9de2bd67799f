"""A real Xen-API server with a small simulated pool, and the provider on it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from cim_provider import Context, InstanceName
from simulated_pool import PASSWORDS, Pool
from xen_providers.access import XenApiAuthenticator
from xen_providers.provider import XenProvider
from xenapi_client import Connection
from xenapi_core.access.local import set_password
from xenapi_core.datamodel.roles import Role


@pytest.fixture(scope="session")
def users(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("users") / "users"
    for name, role in [("root", "pool-admin"), ("operator", "vm-operator"), ("reader", "read-only")]:
        set_password(file, name, PASSWORDS[name], Role.named(role))
    return file


@pytest.fixture
async def pool(users) -> AsyncIterator[Pool]:
    folder = Path(tempfile.mkdtemp(prefix="xen"))  # short: a socket's path has 107 bytes
    pool = Pool(folder, Path(shutil.copy2(users, folder / "users")))
    await pool.start()
    yield pool
    await pool.stop()
    shutil.rmtree(folder)


@pytest.fixture
async def xen(pool) -> AsyncIterator[Connection]:
    """A root session, to act and to ask behind the provider's back."""
    connection = Connection(pool.url("unix"), originator="test")
    yield connection
    await connection.close()


@pytest.fixture
async def provider(pool) -> AsyncIterator[XenProvider]:
    provider = XenProvider(pool.url("unix"))
    await provider.start()
    yield provider
    await provider.stop()


@pytest.fixture
async def authenticator(pool) -> AsyncIterator[XenApiAuthenticator]:
    authenticator = XenApiAuthenticator(pool.url("http"))
    yield authenticator
    await authenticator.stop()


@pytest.fixture
def context_of(authenticator) -> Callable[[str], Any]:
    async def context_of(user: str) -> Context:
        return Context(await authenticator.authenticate(user, PASSWORDS[user]), "root/cimv2")

    return context_of


@pytest.fixture
async def context(context_of) -> Context:
    return await context_of("root")


@pytest.fixture
async def halted(xen) -> str:
    """The reference of a halted VM."""
    records = await xen.call("VM.get_all_records")
    return [ref for ref, each in records.items() if each["power_state"] == "Halted" and not each["is_a_template"]][-1]


@pytest.fixture
def until(provider) -> Callable[..., Any]:
    """Wait until a condition on the provider's view holds; return what it returned."""

    async def until(condition: Callable[[Any], Any]) -> Any:
        async with asyncio.timeout(10):
            while not (answer := condition(provider.view())):
                await asyncio.sleep(0.005)
        return answer

    return until


@pytest.fixture
def system_name(xen) -> Callable[[str], Any]:
    async def system_name(ref: str) -> InstanceName:
        uuid = await xen.call("VM.get_uuid", ref)
        return InstanceName("Xen_ComputerSystem", (("CreationClassName", "Xen_ComputerSystem"), ("Name", uuid)))

    return system_name
