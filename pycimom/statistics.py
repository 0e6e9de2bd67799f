"""How often each operation was called, how long it took and how much was sent, while somebody wants to know.

What CIM_CIMOMStatisticalData tells (DMTF CIM schema), switched by CIM_ObjectManager.GatherStatisticalData.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from time import perf_counter_ns

from cim_provider import Value

OPERATION_TYPES = (
    *("GetClass", "GetInstance", "DeleteClass", "DeleteInstance", "CreateClass", "CreateInstance", "ModifyClass"),
    *("ModifyInstance", "EnumerateClasses", "EnumerateClassNames", "EnumerateInstances", "EnumerateInstanceNames"),
    *("ExecQuery", "Associators", "AssociatorNames", "References", "ReferenceNames", "GetProperty", "SetProperty"),
    *("GetQualifier", "SetQualifier", "DeleteQualifier", "EnumerateQualifiers"),
)
"""The operations that have a value of OperationType of their own, from 3 on."""
_OTHER = 1

_provider_time: ContextVar[Stopwatch | None] = ContextVar("provider_time", default=None)


@dataclass
class Stopwatch:
    """Nanoseconds that a request spent in providers."""

    spent: int = 0


@dataclass(frozen=True)
class Totals:
    """What all calls of one operation came to. Times in nanoseconds, sizes of HTTP bodies in bytes."""

    calls: int = 0
    elapsed: int = 0
    in_providers: int = 0
    received: int = 0
    sent: int = 0


class Statistics:
    """Counts while it is on; switching it on begins anew."""

    def __init__(self) -> None:
        self._gathering = False
        self._totals: dict[str, Totals] = {}

    @property
    def gathering(self) -> bool:
        """Whether it is on."""
        return self._gathering

    def switch(self, on: bool) -> None:
        """Begin or end counting."""
        if on and not self._gathering:
            self._totals = {}
        self._gathering = on

    @property
    def totals(self) -> Mapping[str, Totals]:
        """What was counted, by operation."""
        return self._totals

    @contextmanager
    def watch(self) -> Iterator[Stopwatch]:
        """Measure what the block spends in providers."""
        stopwatch = Stopwatch()
        token = _provider_time.set(stopwatch)
        try:
            yield stopwatch
        finally:
            _provider_time.reset(token)

    def count(self, operation: str, elapsed: int, in_providers: int, received: int, sent: int) -> None:
        """Add a call, if it is on."""
        if self._gathering:
            before = self._totals.get(operation, Totals())
            self._totals[operation] = Totals(
                before.calls + 1,
                before.elapsed + elapsed,
                before.in_providers + in_providers,
                before.received + received,
                before.sent + sent,
            )


@contextmanager
def in_provider() -> Iterator[None]:
    """Count the time of the block, on whatever thread, as spent in providers by the request that it belongs to."""
    stopwatch = _provider_time.get()
    began = perf_counter_ns()
    try:
        yield
    finally:
        if stopwatch is not None:
            stopwatch.spent += perf_counter_ns() - began


def properties(operation: str, totals: Totals) -> dict[str, Value]:
    """Return the properties of CIM_CIMOMStatisticalData but for its key."""
    known = operation in OPERATION_TYPES
    return {
        "ElementName": operation,
        "OperationType": OPERATION_TYPES.index(operation) + 3 if known else _OTHER,
        "OtherOperationType": None if known else operation,
        "NumberOfOperations": totals.calls,
        "CimomElapsedTime": timedelta(microseconds=max(0, totals.elapsed - totals.in_providers) // 1000),
        "ProviderElapsedTime": timedelta(microseconds=totals.in_providers // 1000),
        "RequestSize": totals.received,
        "ResponseSize": totals.sent,
    }
