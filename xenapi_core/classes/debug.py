"""Objects that are there to be tried: they hold nothing and do nothing (Xen-API 1.0)."""

from __future__ import annotations

from xenapi_core.datamodel import POOL_ADMIN, READ_ONLY, RO, Call, XenApiError, XenClass, field, message


class debug(XenClass, role=POOL_ADMIN, creatable=True, destroyable=True):
    """An object to be tried: it holds nothing and does nothing."""

    uuid: str = field(RO, doc="unique identifier of the object")

    @message(role=READ_ONLY, asynchronous=True, errors=("DEBUG_FAIL",))
    def return_failure(call: Call) -> None:
        """Fail."""
        raise XenApiError("DEBUG_FAIL", call.session)
