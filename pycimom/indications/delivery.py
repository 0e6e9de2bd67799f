"""Delivery: a queue and a task for each destination, so that one that does not answer delays nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import httpx
import structlog

from cim_provider import InstanceName
from pycimom.indications.backlog import Backlog, Waiting
from pycimom.indications.destinations import default_port, parse_url
from pycimom.indications.export import HEADERS, export_message, refusal, sequenced

Sleep: TypeAlias = Callable[[float], Awaitable[None]]

_MAX_ANSWER = 64 * 1024
_GRACE = 2.0
"""Seconds that a listener still has at the end to answer what it is being sent."""
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
    """How many indications may wait for a destination beside the one being sent; the oldest are dropped."""
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


class _DeliveryError(Exception):
    """An attempt that failed. ``is_final`` if trying again cannot help."""

    def __init__(self, reason: str, is_final: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final


@dataclass(frozen=True)
class Target:
    """Where a queue delivers to."""

    name: InstanceName
    """The destination's."""
    url: str
    address: str | None
    """The IP address to connect to; None means that of the URL's host."""


class DestinationQueue:
    """Delivers to one destination, one indication after the other, in the order they were put.

    ``context`` is the SequenceContext: no other queue has the same. ``settings`` gives those that hold at present.
    ``failed`` is called after each failed attempt with the seconds since the first of those in a row.
    """

    def __init__(
        self,
        target: Target,
        context: str,
        settings: Callable[[], DeliverySettings],
        backlog: Backlog,
        failed: Callable[[float], None],
        sleep: Sleep = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = target.name
        self._context = context
        self._settings = settings
        self._backlog = backlog
        self._failed = failed
        self._sleep = sleep
        self._clock = clock
        self._target, self._host = _target(target.url, target.address)
        self._waiting: deque[tuple[int, Waiting]] = deque()
        self._arrived = asyncio.Event()
        self._next_number = 0
        self._failing_since: float | None = None
        self._is_sending = False
        self._is_closing = False
        self._client: httpx.AsyncClient | None = None
        self._task: asyncio.Task[None] | None = None
        self._log = _log.bind(destination=target.url)

    def put(self, instance: str, filter_name: str, has_sequence: bool) -> None:
        """Queue an indication, given as its INSTANCE element, without waiting."""
        if len(self._waiting) > self._settings().queue_length:
            number, dropped = self._waiting[1]  # the first is being sent
            del self._waiting[1]
            self._backlog.remove(number)
            self._log.warning("indication_dropped", reason="queue full", sequence_number=dropped.number)
        waiting = Waiting(instance, filter_name, self._context, self._next_number, has_sequence)
        self._next_number += 1
        self.resume([(self._backlog.add(self._name, waiting), waiting)])

    def resume(self, waiting: Sequence[tuple[int, Waiting]]) -> None:
        """Deliver what the backlog has already."""
        self._waiting += waiting
        self._arrived.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"deliver to {self._target}")

    async def close(self, grace: float = _GRACE) -> None:
        """End delivery, after an exchange that is under way; what waits stays in the backlog."""
        self._is_closing = True
        if self._task is not None:
            if self._is_sending:
                await asyncio.wait([self._task], timeout=grace)
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._disconnect()

    async def drop(self) -> None:
        """End delivery at once, and forget what waits."""
        await self.close(grace=0)
        for number, _ in self._waiting:
            self._backlog.remove(number)
        self._waiting.clear()

    async def _run(self) -> None:
        while not self._is_closing:
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            number, waiting = self._waiting[0]
            await self._deliver(waiting)
            self._waiting.popleft()
            self._backlog.remove(number)

    async def _deliver(self, indication: Waiting) -> None:
        """Try at once, at once again on a fresh connection, then at intervals; then give up."""
        attempt, reason = 0, ""
        while attempt < 2 + self._settings().retry_attempts:
            if attempt >= 2:
                await self._sleep(self._settings().retry_interval)
            self._is_sending = True
            try:
                await self._send(indication)
            except (httpx.HTTPError, ssl.SSLError, OSError, _DeliveryError) as error:
                await self._disconnect()
                reason = str(error) or type(error).__name__
                if attempt == 1:
                    self._log.warning("delivery_failed", reason=reason, sequence_number=indication.number)
                self._note_failure()
                if isinstance(error, _DeliveryError) and error.is_final:
                    break
            else:
                self._failing_since = None
                if attempt > 1:
                    self._log.info("delivery_resumed", sequence_number=indication.number)
                return
            finally:
                self._is_sending = False
            attempt += 1
        self._log.warning("indication_given_up", reason=reason, sequence_number=indication.number)

    def _note_failure(self) -> None:
        now = self._clock()
        if self._failing_since is None:
            self._failing_since = now
        self._failed(now - self._failing_since)

    async def _send(self, indication: Waiting) -> None:
        instance = indication.instance
        if indication.has_sequence:
            instance = sequenced(instance, indication.filter_name, indication.context, indication.number)
        if self._client is None:
            settings = self._settings()
            self._client = httpx.AsyncClient(
                verify=settings.tls if self._target.scheme == "https" else False,
                timeout=settings.timeout,
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
