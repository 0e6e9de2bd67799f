"""The replica of the pool as methods see it: how they wait until it shows what they did."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import structlog

from xen_providers.methods.outcomes import cim_error
from xenapi_client import Connection, Inventory, Record, XenApiError, XenApiUnavailable

log = structlog.get_logger(__name__)

Xen: TypeAlias = Callable[..., Awaitable[Any]]
"""Calls the Xen-API for somebody: a message such as ``VM.start``, and its parameters. Raises CimError."""

SETTLING = 5.0
"""Seconds that a caller waits at most until the effect of a call shows in the replica."""
PATIENCE = 60.0
"""Seconds after which one who follows an object looks again whether it is still there."""


class Replica:
    """The inventory, and the service's own connection, which waits for effects to arrive in it."""

    def __init__(self, connection: Connection, inventory: Inventory) -> None:
        self._connection = connection
        self._inventory = inventory

    async def xen(self, method: str, *parameters: object) -> Any:
        """Call what is the bridge's own affair, under the service's session."""
        try:
            return await self._connection.call(method, *parameters)
        except (XenApiError, XenApiUnavailable) as error:
            raise cim_error(error) from None

    async def settle(self, cls: str, ref: str) -> Record | None:
        """Wait until the replica has all that happened to an object so far; return its record, None if it is gone."""
        try:
            await self._wait(cls, ref)
        except (XenApiError, XenApiUnavailable) as error:
            log.warning("effect_not_awaited", cls=cls, ref=ref, reason=str(error))
        return self._record(cls, ref)

    async def follow(self, cls: str, ref: str) -> AsyncIterator[Record]:
        """Yield the record of an object, and again whenever it has changed, until the object is gone."""
        record = await self.settle(cls, ref)
        while record is not None:
            yield record
            known = record
            while (record := self._record(cls, ref)) is known:
                await self._inventory.wait(lambda: self._record(cls, ref) is not known, PATIENCE)  # noqa: B023 (awaited here)

    def _record(self, cls: str, ref: str) -> Record | None:
        version = self._inventory.version
        return None if version is None else version.get(cls, ref)

    async def _wait(self, cls: str, ref: str) -> None:
        try:
            token = await self._connection.call("event.inject", cls, ref)
        except XenApiError as error:
            version = self._inventory.version
            pools = [] if version is None else list(version.records("pool"))
            if error.code != "HANDLE_INVALID" or not pools:
                raise
            token = await self._connection.call("event.inject", "pool", pools[0])
        if not await self._inventory.wait_beyond(token, SETTLING):
            log.warning("effect_not_seen", cls=cls, ref=ref, seconds=SETTLING)
