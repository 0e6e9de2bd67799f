"""Which object of the Xen-API a client means, in the many ways in which clients name it."""

from __future__ import annotations

from typing import Any

from cim_provider import InstanceName
from xen_providers.methods.call import Call
from xen_providers.methods.embedded import last_part
from xen_providers.methods.outcomes import invalid
from xenapi_client import Record


def find_object(call: Call, cls: str, parameter: str, value: Any, what: str) -> tuple[str, Record]:
    """Return the object of a Xen-API class that a path, as such or as text, its last part, or a uuid names.

    ``what`` is what clients know such objects as.
    """
    if isinstance(value, InstanceName):
        value = value.get("InstanceID") or value.get("DeviceID") or value.get("Name")
    uuid = last_part(value).strip().lower() if isinstance(value, str) else ""
    if not uuid:
        raise invalid(parameter, "it is missing.")
    found = call.view.find(cls, uuid)
    if found is None:
        raise invalid(parameter, f"there is no {what} {value}.")
    return found
