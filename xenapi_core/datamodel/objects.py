"""The object table as messages see it; ``xenapi_core.store`` is what stands behind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from xenapi_core.datamodel.record import Record


class Objects(Protocol):
    """All objects at one moment."""

    def get(self, ref: str) -> Record | None:
        """Return the object of a reference, None if there is none."""

    def record(self, ref: str, cls: str = "") -> Record:
        """Return the object of a reference; HANDLE_INVALID (cls, ref) if there is none."""

    def records(self, cls: str) -> Iterable[Record]:
        """Return the objects of a class in order of creation."""

    def by_uuid(self, cls: str, uuid: str) -> Record | None:
        """Return the object of a class with a uuid, None if there is none."""


class Change(Objects, Protocol):
    """One atomic step. Reading through it sees what it has written so far."""

    def create(self, cls: str, values: Mapping[str, Any], ref: str = "") -> str:
        """Make an object and return its reference.

        Fields not given get their defaults; ``uuid`` gets a new one. Unknown fields and values of a wrong type are
        mistakes of the program (TypeError).
        """

    def update(self, ref: str, **fields: Any) -> None:
        """Set fields of an object; HANDLE_INVALID if it is gone."""

    def touch(self, ref: str) -> None:
        """Raise a mod event of an object that need not have changed."""

    def destroy(self, ref: str) -> None:
        """Remove an object; HANDLE_INVALID if it is gone. References of declared relations to it become NULL."""


class Store(Objects, Protocol):
    """The newest state: all that was written, be it durable yet or not."""

    @property
    def durable(self) -> Objects:
        """What clients may be told: the state as it would be after a crash now."""

    def write(self) -> AbstractContextManager[Change]:
        """Open an atomic step: written when the block ends, forgotten if it raises. No await, no second step inside."""

    async def flush(self) -> None:
        """Wait until all that was written up to now is durable."""

    def sampled(self, record: Record, name: str) -> Any:
        """Return the newest sample of a sampled field; taking one is neither journalled nor an event."""


class Operations(ABC):
    """Which operations the objects of a class allow; given as ``class VM(XenClass, operations=...)``.

    The store keeps the field ``allowed_operations`` of each written object as ``allowed`` says.
    """

    @abstractmethod
    def check(self, objects: Objects, record: Record, operation: str) -> None:
        """Raise the XenApiError that tells why an operation cannot begin now, if it cannot."""

    @abstractmethod
    def allowed(self, objects: Objects, record: Record) -> Sequence[str]:
        """Return the operations that can begin now."""

    def dependents(self, record: Record) -> Iterable[str]:
        """Return the references of other objects whose allowed operations follow from this one's fields."""
        return ()
