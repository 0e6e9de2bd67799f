"""What a method or a delete works with: the object it is about, the caller's session, and how to see the effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog

from cim_provider import CimError, Principal, Status
from xen_providers.access import XenPrincipal
from xenapi_client import Connection, Inventory, Record, XenApiError, XenApiUnavailable

log = structlog.get_logger(__name__)

SETTLING = 5.0
"""Seconds that a caller waits at most until the effect of a call shows in the replica."""


class Replica:
    """The inventory, and the service's own connection, which waits for effects to arrive in it."""

    def __init__(self, connection: Connection, inventory: Inventory) -> None:
        self._connection = connection
        self._inventory = inventory

    async def write(self, method: str, *parameters: object) -> None:
        """Write what is the bridge's own affair, under the service's session."""
        try:
            await self._connection.call(method, *parameters)
        except (XenApiError, XenApiUnavailable) as error:
            raise cim_error(error) from None

    async def settle(self, cls: str, ref: str) -> Record | None:
        """Wait until the replica has all that happened to an object so far; return its record, None if it is gone."""
        try:
            await self._wait(cls, ref)
        except (XenApiError, XenApiUnavailable) as error:
            log.warning("effect_not_awaited", cls=cls, ref=ref, reason=str(error))
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


@dataclass(frozen=True)
class Call:
    """A method or a delete under way."""

    ref: str
    record: Record
    principal: Principal
    replica: Replica

    async def xen(self, method: str, *parameters: object) -> Any:
        """Call the Xen-API under the caller's session; a refusal becomes the CIM error that says the same."""
        if not isinstance(self.principal, XenPrincipal):
            raise CimError(Status.ACCESS_DENIED, f"{self.principal.name} has no Xen-API session.")
        try:
            return await self.principal.call(method, *parameters)
        except ValueError as error:
            raise CimError(Status.INVALID_PARAMETER, str(error)) from None
        except (XenApiError, XenApiUnavailable) as error:
            raise cim_error(error) from None


def cim_error(error: XenApiError | XenApiUnavailable) -> CimError:
    """Return the CIM error that says what the Xen-API said."""
    code = error.code if isinstance(error, XenApiError) else ""
    status = {
        "HANDLE_INVALID": Status.NOT_FOUND,
        "UUID_INVALID": Status.NOT_FOUND,
        "RBAC_PERMISSION_DENIED": Status.ACCESS_DENIED,
        "PERMISSION_DENIED": Status.ACCESS_DENIED,
        "SESSION_AUTHENTICATION_FAILED": Status.ACCESS_DENIED,
        "SESSION_INVALID": Status.ACCESS_DENIED,
        "MESSAGE_METHOD_UNKNOWN": Status.NOT_SUPPORTED,
    }.get(code, Status.FAILED)
    return CimError(status, str(error))
