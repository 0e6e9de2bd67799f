"""Delivery: a queue and a task for each destination, so that one that does not answer delays nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import httpx
import structlog

from pycimom.indications.destinations import default_port, parse_url
from pycimom.indications.export import HEADERS, export_message, refusal, sequenced

Sleep: TypeAlias = Callable[[float], Awaitable[None]]

_MAX_ANSWER = 64 * 1024
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class DeliverySettings:
    """How indications are delivered. Times in seconds."""

    retry_attempts: int = 3
    """How often a failed indication is tried again, after the two attempts made at once."""
    retry_interval: float = 30.0
    timeout: float = 15.0
    """For connecting, and for each step of an exchange."""
    queue_length: int = 1000
    """How many indications may wait for a destination; the oldest are dropped."""
    verify: bool = True
    """Whether the certificates of https destinations are verified."""
    authorities: Path | None = None
    """The authorities of those certificates (PEM); None for the system's."""

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """The TLS context of connections to https destinations."""
        context = ssl.create_default_context(cafile=self.authorities)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


@dataclass(frozen=True)
class _Waiting:
    """An indication on its way. It keeps its number however often it is tried."""

    instance: str
    filter_name: str
    number: int
    has_sequence: bool


class _DeliveryError(Exception):
    """An attempt that failed. ``is_final`` if trying again cannot help."""

    def __init__(self, reason: str, is_final: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final


class DestinationQueue:
    """Delivers to one destination, one indication after the other, in the order they were put.

    ``address`` is the IP address to connect to; None means that of the URL's host. ``context`` is the
    SequenceContext: no other queue has the same.
    """

    def __init__(
        self, url: str, address: str | None, context: str, settings: DeliverySettings, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._url = url
        self._context = context
        self._settings = settings
        self._sleep = sleep
        self._target, self._host = _target(url, address)
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._next_number = 0
        self._client: httpx.AsyncClient | None = None
        self._task: asyncio.Task[None] | None = None
        self._log = _log.bind(destination=url)

    def put(self, instance: str, filter_name: str, has_sequence: bool) -> None:
        """Queue an indication, given as its INSTANCE element, without waiting."""
        if len(self._waiting) >= self._settings.queue_length:
            dropped = self._waiting.popleft()
            self._log.warning("indication_dropped", reason="queue full", sequence_number=dropped.number)
        self._waiting.append(_Waiting(instance, filter_name, self._next_number, has_sequence))
        self._next_number += 1
        self._arrived.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"deliver to {self._url}")

    async def close(self) -> None:
        """End delivery; what waits is dropped."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._disconnect()

    async def _run(self) -> None:
        while True:
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            await self._deliver(self._waiting.popleft())

    async def _deliver(self, indication: _Waiting) -> None:
        """Try at once, at once again on a fresh connection, then at intervals; then give up."""
        pauses = [0.0, 0.0, *[self._settings.retry_interval] * self._settings.retry_attempts]
        reason: Exception | None = None
        for attempt, pause in enumerate(pauses):
            if pause:
                await self._sleep(pause)
            try:
                await self._send(indication)
            except (httpx.HTTPError, ssl.SSLError, OSError, _DeliveryError) as error:
                await self._disconnect()
                reason = error
                if attempt == 1:
                    self._log.warning("delivery_failed", reason=_text(error), sequence_number=indication.number)
                if isinstance(error, _DeliveryError) and error.is_final:
                    break
            else:
                if attempt > 1:
                    self._log.info("delivery_resumed", sequence_number=indication.number)
                return
        self._log.warning("indication_given_up", reason=_text(reason), sequence_number=indication.number)

    async def _send(self, indication: _Waiting) -> None:
        instance = indication.instance
        if indication.has_sequence:
            instance = sequenced(instance, indication.filter_name, self._context, indication.number)
        if self._client is None:
            self._client = httpx.AsyncClient(
                verify=self._settings.tls if self._target.scheme == "https" else False,
                timeout=self._settings.timeout,
                follow_redirects=False,
                trust_env=False,
                limits=httpx.Limits(max_connections=1),
            )
        async with self._client.stream(
            "POST",
            self._target,
            content=export_message(instance, str(indication.number)),
            headers={**HEADERS, "Host": self._host},
            extensions={"sni_hostname": self._host.rpartition(":")[0].strip("[]")},
        ) as response:
            answer = b""
            async for chunk in response.aiter_raw():
                answer += chunk
                if len(answer) > _MAX_ANSWER:
                    raise _DeliveryError(f"the listener's answer is longer than {_MAX_ANSWER} bytes")
        if response.status_code != 200:
            is_final = 300 <= response.status_code < 500 and response.status_code not in (408, 429)
            cim_error = response.headers.get("CIMError")
            detail = f" ({cim_error})" if cim_error else ""
            raise _DeliveryError(f"the listener answered HTTP status {response.status_code}{detail}", is_final)
        if (why := refusal(answer)) is not None:
            raise _DeliveryError(f"the listener refused it: {why}")

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def _target(url: str, address: str | None) -> tuple[httpx.URL, str]:
    """Return the URL to connect to and the Host header."""
    parts = parse_url(url)
    name = parts.hostname or ""
    port = parts.port or default_port(parts)
    path = parts.path or "/"
    if parts.query:
        path += f"?{parts.query}"
    host = f"{_bracketed(name)}:{port}"
    return httpx.URL(f"{parts.scheme}://{_bracketed(address or name)}:{port}{path}"), host


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _text(error: Exception | None) -> str:
    return str(error) or type(error).__name__
