"""The client's end of the Xen-API: connection, sessions, events and a live replica. Knows nothing of CIM."""

from xenapi_client.connection import Connection
from xenapi_client.errors import XenApiError, XenApiUnavailable
from xenapi_client.inventory import Change, Inventory, Operation, Record, Version
from xenapi_client.rrd import Updates, read_updates

__all__ = [
    "Change",
    "Connection",
    "Inventory",
    "Operation",
    "Record",
    "Updates",
    "Version",
    "XenApiError",
    "XenApiUnavailable",
    "read_updates",
]
