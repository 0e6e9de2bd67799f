"""Does everything answer? A login at each door of the Xen-API, a CIM request at each door of the CIM server."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from xen_tools.errors import CommandError
from xenapi_client import Connection, XenApiError, XenApiUnavailable

LIMIT = 60.0
"""Seconds within which everything has to answer."""
PAUSE = 0.1
PROBED_CLASS = "Xen_HostComputerSystem"
"""A class of the providers: that it has instances shows that the pool has been read."""
REQUEST = (
    '<?xml version="1.0" encoding="utf-8"?><CIM CIMVERSION="2.0" DTDVERSION="2.0">'
    '<MESSAGE ID="1" PROTOCOLVERSION="1.0"><SIMPLEREQ><IMETHODCALL NAME="EnumerateInstanceNames">'
    '<LOCALNAMESPACEPATH><NAMESPACE NAME="root"/><NAMESPACE NAME="cimv2"/></LOCALNAMESPACEPATH>'
    f'<IPARAMVALUE NAME="ClassName"><CLASSNAME NAME="{PROBED_CLASS}"/></IPARAMVALUE>'
    "</IMETHODCALL></SIMPLEREQ></MESSAGE></CIM>"
)
HEADERS = {
    "Content-Type": 'application/xml; charset="utf-8"',
    "CIMOperation": "MethodCall",
    "CIMMethod": "EnumerateInstanceNames",
    "CIMObject": "root/cimv2",
}


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
        except (XenApiError, XenApiUnavailable, httpx.HTTPError) as error:
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
    # Not through pywbem: REQUESTS_CA_BUNDLE in the environment would replace our certificate there.
    verify = ssl.create_default_context(cafile=credentials.certificate) if url.startswith("https:") else False
    async with httpx.AsyncClient(
        verify=verify, auth=httpx.BasicAuth(credentials.user, credentials.password), trust_env=False, timeout=LIMIT
    ) as client:
        answer = await client.post(f"{url}/cimom", content=REQUEST, headers=HEADERS)
    answer.raise_for_status()
    if b"<INSTANCENAME " not in answer.content:
        error = re.search(r'<ERROR [^>]*DESCRIPTION="([^"]*)"', answer.text)
        raise httpx.HTTPError(error[1] if error else f"it knows no {PROBED_CLASS}")
