"""Where objects live: object table, change log, durable journal."""

from xenapi_core.store.journal_file import JOURNAL, JournalError
from xenapi_core.store.store import Store

__all__ = ["JOURNAL", "JournalError", "Store"]
