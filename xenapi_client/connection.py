"""A connection to one Xen-API: a session that renews itself, over HTTP, TLS or a unix socket."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import structlog

from xenapi_client.errors import XenApiError, XenApiUnavailable
from xenapi_client.xmlrpc import ResponseDecoder, XmlRpcFaultError, encode_call

log = structlog.get_logger(__name__)

LOGIN = "session.login_with_password"
API_VERSION = "1.0"
ORIGINATOR = "xen-cim"
UNIX = "http+unix://"
MOST = 64 << 20
"""Bytes of what is downloaded."""
FOLLOWED = 3
"""How often one login may be sent on from a pool member to its master."""
HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


class Connection:
    """One Xen-API session and what is needed to renew it.

    ``endpoint`` is ``http://host:port``, ``https://host:port`` or ``http+unix:///path``. Certificates are always
    verified: against ``ca_file``, else against the system's authorities. With ``relogin`` the password is kept and a
    session that the server has ended is replaced, once per call; without it the password is forgotten after login and
    SESSION_INVALID is raised. Calls may run side by side. Neither password nor session ever shows in logs or errors.
    """

    def __init__(
        self,
        endpoint: str,
        user: str = "",
        password: str = "",
        *,
        ca_file: Path | None = None,
        originator: str = ORIGINATOR,
        timeout: float = 60.0,
        relogin: bool = True,
    ) -> None:
        self.endpoint = self._home = endpoint.rstrip("/")
        self.user = user
        self.generation = 0
        """How many sessions there have been; another number means that the server may have forgotten things."""
        self._password: str | None = password
        self._originator = originator
        self._relogin = relogin
        self._session: str | None = None
        self._login_lock = asyncio.Lock()
        self._client = _client(self.endpoint, ca_file, timeout)

    def __repr__(self) -> str:
        return f"Connection({self.endpoint!r}, user={self.user!r})"

    async def call(self, method: str, *parameters: object, within: float | None = None) -> Any:
        """Call e.g. ``VM.start`` with the parameters that follow the session; log in first if need be.

        ``within`` is the time that the answer may take, in seconds; it replaces the connection's own. Raises
        XenApiError if the server refuses, XenApiUnavailable if there is no sensible answer.
        """
        session = self._session or await self.login()
        try:
            return await self._post(method, (session, *parameters), within)
        except XenApiError as error:
            if not self._relogin or error.code not in ("SESSION_INVALID", "HOST_IS_SLAVE"):
                raise
        log.info("session_renewed", endpoint=self.endpoint, user=self.user)
        return await self._post(method, (await self.login(instead_of=session), *parameters), within)

    async def download(self, path: str, query: Mapping[str, str], most: int = MOST) -> bytes:
        """Read what is at a path, such as ``/rrd_updates``, at most ``most`` bytes of it; log in first if need be.

        The session travels as a cookie, since paths are logged. Raises XenApiUnavailable if it cannot be read, and
        XenApiError SESSION_INVALID if the session has ended.
        """
        session = self._session or await self.login()
        try:
            return await self._get(path, query, session, most)
        except XenApiError:
            if not self._relogin:
                raise
        return await self._get(path, query, await self.login(instead_of=session), most)

    async def _get(self, path: str, query: Mapping[str, str], session: str, most: int) -> bytes:
        base = "http://localhost" if self.endpoint.startswith(UNIX) else self.endpoint
        request = self._client.build_request(
            "GET", f"{base}{path}", params=query, headers={"Cookie": f"session_id={session}"}
        )
        try:
            answer = await self._client.send(request, stream=True)
            try:
                if answer.status_code == httpx.codes.UNAUTHORIZED:
                    raise XenApiError("SESSION_INVALID", ["(session)"])
                if answer.status_code != httpx.codes.OK:
                    raise XenApiUnavailable(f"{self.endpoint} answered {path} with HTTP status {answer.status_code}.")
                body = bytearray()
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > most:
                        raise XenApiUnavailable(f"{self.endpoint} has more than {most} bytes at {path}.")
                return bytes(body)
            finally:
                await answer.aclose()
        except (httpx.HTTPError, OSError) as error:
            reason = str(error) or type(error).__name__
            raise XenApiUnavailable(f"The Xen-API at {self.endpoint} cannot be reached: {reason}.") from error

    async def login(self, instead_of: str | None = None) -> str:
        """Log in unless there is a session other than ``instead_of``; return the session."""
        async with self._login_lock:
            if self._session is None or self._session == instead_of:
                self._session = None
                self._session = await self._log_in()
                self.generation += 1
                if not self._relogin:
                    self._password = None
            return self._session

    async def _log_in(self) -> str:
        if self._password is None:
            raise XenApiError("SESSION_INVALID", [])
        credentials: tuple[str, ...] = (self.user, self._password, API_VERSION, self._originator)
        for _ in range(FOLLOWED):
            try:
                return str(await self._post(LOGIN, credentials, None))
            except XenApiError as error:
                if error.code == "MESSAGE_PARAMETER_COUNT_MISMATCH" and len(credentials) > 2:
                    credentials = credentials[:2]  # Xen-API 1.0 knows neither version nor originator
                elif error.code == "HOST_IS_SLAVE" and error.parameters:
                    await self._follow(error.parameters[0])
                else:
                    raise
        raise XenApiUnavailable(f"The pool of {self.endpoint} sent the login on {FOLLOWED} times.")

    async def _follow(self, master: str) -> None:
        """Turn to the pool's master, which takes the place of the host in the endpoint."""
        parts = urlsplit(self.endpoint)
        if self.endpoint.startswith(UNIX):
            raise XenApiUnavailable(f"{self.endpoint} belongs to a pool member; its master is {master}.")
        if parts.scheme == "http" and _is_loopback(parts.hostname or "") and not _is_loopback(master):
            raise XenApiUnavailable(
                f"{self.endpoint} belongs to a pool member; the master {master} is only asked over https."
            )
        if not HOST_NAME.fullmatch(master) and not _is_address(master):
            raise XenApiUnavailable(f"{self.endpoint} names a pool master that is no address: {master!r}.")
        host = f"[{master}]" if ":" in master else master
        port = f":{parts.port}" if parts.port else ""
        log.info("following_pool_master", member=self.endpoint, master=master)
        self.endpoint = f"{parts.scheme}://{host}{port}"

    async def close(self) -> None:
        """Log out, if there is a session and a server, and close the sockets."""
        session, self._session, self._password = self._session, None, None
        if session is not None:
            try:
                await self._post("session.logout", (session,), 5.0)
            except (XenApiError, XenApiUnavailable) as error:
                log.debug("logout_failed", endpoint=self.endpoint, reason=str(error))
        await self._client.aclose()

    async def _post(self, method: str, parameters: tuple[object, ...], within: float | None) -> Any:
        url = "http://localhost/" if self.endpoint.startswith(UNIX) else f"{self.endpoint}/"
        limits = self._client.timeout if within is None else httpx.Timeout(within, connect=10.0)
        request = self._client.build_request(
            "POST", url, content=encode_call(method, parameters), headers={"Content-Type": "text/xml"}, timeout=limits
        )
        try:
            decoded = await self._exchange(request, method)
        except XmlRpcFaultError as fault:
            raise XenApiUnavailable(f"{self.endpoint} could not read the call of {method}: {fault}") from None
        except (httpx.HTTPError, OSError) as error:
            reason = str(error) or type(error).__name__
            unreachable, self.endpoint = self.endpoint, self._home  # the pool may have a new master by now
            raise XenApiUnavailable(f"The Xen-API at {unreachable} cannot be reached: {reason}.") from error
        return _result(decoded, method, secrets=() if method == LOGIN else parameters[:1])

    async def _exchange(self, request: httpx.Request, method: str) -> Any:
        """Send a request, and read the answer while it arrives: the loop goes on between its parts."""
        answer = await self._client.send(request, stream=True)
        try:
            if answer.status_code != httpx.codes.OK:
                raise XenApiUnavailable(f"{self.endpoint} answered {method} with HTTP status {answer.status_code}.")
            decoder = ResponseDecoder()
            async for part in answer.aiter_bytes():
                decoder.feed(part)
            return decoder.close()
        finally:
            await answer.aclose()


def _result(answer: Any, method: str, secrets: tuple[object, ...]) -> Any:
    """Return what a call gave, or raise what it was refused with, less the session."""
    status = answer.get("Status") if isinstance(answer, dict) else None
    if status == "Success":
        return answer.get("Value", "")
    if status == "Failure" and answer.get("ErrorDescription"):
        code, *parameters = map(str, answer["ErrorDescription"])
        raise XenApiError(code, ["(session)" if each in secrets else each for each in parameters])
    raise XenApiUnavailable(f"The answer to {method} has neither Success nor Failure as its Status.")


def _client(endpoint: str, ca_file: Path | None, timeout: float) -> httpx.AsyncClient:
    limits = httpx.Timeout(timeout, connect=10.0)
    if endpoint.startswith(UNIX):
        transport = httpx.AsyncHTTPTransport(uds=endpoint.removeprefix(UNIX))
    elif endpoint.startswith(("http://", "https://")):
        verified = ssl.create_default_context(cafile=ca_file) if endpoint.startswith("https") else False
        transport = httpx.AsyncHTTPTransport(verify=verified)
    else:
        raise ValueError(f"{endpoint!r} is no endpoint: it must begin with http://, https:// or http+unix:///.")
    return httpx.AsyncClient(transport=transport, timeout=limits, trust_env=False)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)
