"""The client's end of the Xen-API: connection, sessions, events and a live replica. Knows nothing of CIM."""

from xenapi_client.connection import Connection
from xenapi_client.errors import XenApiError, XenApiUnavailable
from xenapi_client.inventory import Change, Inventory, Operation, Record, Version

__all__ = [
    "Change",
    "Connection",
    "Inventory",
    "Operation",
    "Record",
    "Version",
    "XenApiError",
    "XenApiUnavailable",
]
