"""Does everything answer? A login at each door of the Xen-API, a CIM request at each door of the CIM server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pywbem

from xen_tools.errors import CommandError
from xenapi_client import Connection, XenApiError, XenApiUnavailable

LIMIT = 60.0
"""Seconds within which everything has to answer."""
PAUSE = 0.1
PROBED_CLASS = "Xen_HostComputerSystem"
"""A class of the providers: that it has instances shows that the pool has been read."""


@dataclass(frozen=True)
class Credentials:
    """As whom to ask, and what to verify TLS with."""

    user: str
    password: str
    certificate: Path


async def all_answer(urls: Mapping[str, str], credentials: Credentials) -> None:
    """Return when every door has answered; CommandError names the one that does not, and why."""
    await asyncio.gather(
        *(
            _until_it_answers(name, url, _xen_api if name.startswith("xenapi-") else _cim, credentials)
            for name, url in urls.items()
        )
    )


async def _until_it_answers(
    name: str, url: str, ask: Callable[[str, Credentials], Awaitable[None]], credentials: Credentials
) -> None:
    deadline = asyncio.get_running_loop().time() + LIMIT
    while True:
        try:
            await ask(url, credentials)
        except (XenApiError, XenApiUnavailable, pywbem.Error) as error:
            if asyncio.get_running_loop().time() > deadline:
                raise CommandError(f"The door {name} at {url} does not answer as it should: {error}.") from error
            await asyncio.sleep(PAUSE)
        else:
            return


async def _xen_api(url: str, credentials: Credentials) -> None:
    ca_file = credentials.certificate if url.startswith("https:") else None
    connection = Connection(url, credentials.user, credentials.password, ca_file=ca_file, timeout=LIMIT)
    try:
        await connection.login()
    finally:
        await connection.close()


async def _cim(url: str, credentials: Credentials) -> None:
    await asyncio.to_thread(_enumerate_hosts, url, credentials)


def _enumerate_hosts(url: str, credentials: Credentials) -> None:
    ca_certs = str(credentials.certificate) if url.startswith("https:") else None
    with pywbem.WBEMConnection(
        url, (credentials.user, credentials.password), default_namespace="root/cimv2", ca_certs=ca_certs, timeout=30
    ) as connection:
        if not connection.EnumerateInstanceNames(PROBED_CLASS):
            raise pywbem.ConnectionError(f"there is no {PROBED_CLASS} yet")
