"""Where objects live: object table, change log, durable journal."""

from xenapi_core.store.journal import JournalError
from xenapi_core.store.store import Store

__all__ = ["JournalError", "Store"]
