"""Data sources: every figure that is measured of a VM, a host or a repository, by name."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from xenapi_core.classes.lifecycle import BUSY, VM_OPERATIONS, vm_operations
from xenapi_core.classes.sampling import Sampler
from xenapi_core.datamodel import (
    POOL_OPERATOR,
    READ_ONLY,
    RO,
    VM_ADMIN,
    Call,
    Record,
    RecordOf,
    XenApiError,
    XenClass,
    field,
    message,
)
from xenapi_core.datamodel.refs import HostRef, SRRef, VMRef
from xenapi_core.store import Store

KIB = 1024

KEPT = 600
"""How many values of a recorded data source are kept: those of ten minutes."""

UNBOUNDED = float(1 << 63)
"""The maximum of what has none: XML-RPC has no word for infinity."""


class data_source(XenClass, stored=False, events=False):
    """A figure that is measured. Data sources are read of what they belong to, not kept."""

    name_label: str = field(RO, default="", doc="name")
    name_description: str = field(RO, default="", doc="what it tells")
    enabled: bool = field(RO, doc="whether it is being recorded")
    standard: bool = field(RO, doc="whether it is one of those that every server has")
    units: str = field(RO, doc="unit of min, max and value")
    min: float = field(RO, doc="the least that it can be")
    max: float = field(RO, doc="the most that it can be; 2^63 if there is no limit")
    value: float = field(RO, doc="what it is now")


DataSourceRecord = Annotated[dict[str, Any], RecordOf("data_source")]


@dataclass(frozen=True)
class Source:
    """A data source of an object, and how it is read."""

    name: str
    description: str
    units: str
    most: float
    read: Callable[[], float]


class VMDataSources:
    """The data sources of a VM."""

    @message(role=READ_ONLY)
    def get_data_sources(call: Call, self: VMRef) -> list[DataSourceRecord]:
        """Return all data sources of a VM with what they are now."""
        return _told(call, self)

    @message(role=READ_ONLY, errors=(*BUSY, "INVALID_VALUE"))
    def query_data_source(call: Call, self: VMRef, data_source: str) -> float:
        """Return what a data source of a VM is now."""
        _check(call, self)
        return _named(call, self, data_source).read()

    @message(role=VM_ADMIN, errors=(*BUSY, "INVALID_VALUE"))
    def record_data_source(call: Call, self: VMRef, data_source: str) -> None:
        """Begin to record a data source of a VM."""
        _check(call, self)
        call.service(Recorder).record(self, _named(call, self, data_source).name)

    @message(role=VM_ADMIN, errors=(*BUSY, "INVALID_VALUE"))
    def forget_data_source_archives(call: Call, self: VMRef, data_source: str) -> None:
        """Stop recording a data source of a VM, and forget what was recorded."""
        _check(call, self)
        call.service(Recorder).forget(self, _named(call, self, data_source).name)


class HostDataSources:
    """The data sources of a host."""

    @message(role=READ_ONLY)
    def get_data_sources(call: Call, host: HostRef) -> list[DataSourceRecord]:
        """Return all data sources of a host with what they are now."""
        return _told(call, host)

    @message(role=READ_ONLY, errors=("INVALID_VALUE",))
    def query_data_source(call: Call, host: HostRef, data_source: str) -> float:
        """Return what a data source of a host is now."""
        return _named(call, host, data_source).read()

    @message(role=POOL_OPERATOR, errors=("INVALID_VALUE",))
    def record_data_source(call: Call, host: HostRef, data_source: str) -> None:
        """Begin to record a data source of a host."""
        call.service(Recorder).record(host, _named(call, host, data_source).name)

    @message(role=POOL_OPERATOR, errors=("INVALID_VALUE",))
    def forget_data_source_archives(call: Call, host: HostRef, data_source: str) -> None:
        """Stop recording a data source of a host, and forget what was recorded."""
        call.service(Recorder).forget(host, _named(call, host, data_source).name)


class SRDataSources:
    """The data sources of a repository."""

    @message(role=READ_ONLY)
    def get_data_sources(call: Call, sr: SRRef) -> list[DataSourceRecord]:
        """Return all data sources of a repository with what they are now."""
        return _told(call, sr)

    @message(role=READ_ONLY, errors=("INVALID_VALUE",))
    def query_data_source(call: Call, sr: SRRef, data_source: str) -> float:
        """Return what a data source of a repository is now."""
        return _named(call, sr, data_source).read()

    @message(role=POOL_OPERATOR, errors=("INVALID_VALUE",))
    def record_data_source(call: Call, sr: SRRef, data_source: str) -> None:
        """Begin to record a data source of a repository."""
        call.service(Recorder).record(sr, _named(call, sr, data_source).name)

    @message(role=POOL_OPERATOR, errors=("INVALID_VALUE",))
    def forget_data_source_archives(call: Call, sr: SRRef, data_source: str) -> None:
        """Stop recording a data source of a repository, and forget what was recorded."""
        call.service(Recorder).forget(sr, _named(call, sr, data_source).name)


def _check(call: Call, vm: str) -> None:
    """Raise the error that tells why data sources of a VM cannot be asked for now, if they cannot."""
    VM_OPERATIONS.check(call.store, call.record(vm, "VM"), vm_operations.data_source_op)


def _told(call: Call, ref: str) -> list[DataSourceRecord]:
    recorder = call.service(Recorder)
    recorded = recorder.recorded(ref)
    return [_record(source, source.name in recorded) for source in recorder.sources(ref)]


def _record(source: Source, enabled: bool) -> Any:
    values = (source.name, source.description, enabled, True, source.units, 0.0, source.most, source.read())
    return Record(data_source.definition, "", 0, values)


def _named(call: Call, ref: str, name: str) -> Source:
    """Return the data source with a name; INVALID_VALUE if the object has none of that name."""
    for source in call.service(Recorder).sources(ref):
        if source.name == name:
            return source
    raise XenApiError("INVALID_VALUE", "data_source", name)


DIRECTIONS = {"read": "Bytes read", "write": "Bytes written", "rx": "Bytes received", "tx": "Bytes sent"}
"""What the last part of the name of a device's data source means."""


class Recorder:
    """Knows all data sources, and records some of them once a second; costs nothing while none is recorded."""

    def __init__(self, store: Store, sampler: Sampler) -> None:
        self._store = store
        self._sampler = sampler
        self._archives: dict[str, dict[str, deque[tuple[float, float]]]] = {}
        """By object and name: moments (seconds since the epoch) and values, oldest first."""
        self._running: asyncio.Task[None] | None = None

    def record(self, ref: str, name: str) -> None:
        """Begin to record a data source of an object."""
        self._archives.setdefault(ref, {}).setdefault(name, deque(maxlen=KEPT))
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._run())

    def forget(self, ref: str, name: str) -> None:
        """Stop recording a data source of an object, and forget what was recorded."""
        archives = self._archives.get(ref, {})
        archives.pop(name, None)
        if not archives:
            self._archives.pop(ref, None)
        if not self._archives:
            self.stop()

    def recorded(self, ref: str) -> Mapping[str, Sequence[tuple[float, float]]]:
        """Return what was recorded of an object, by the name of the data source: moments and values."""
        return self._archives.get(ref, {})

    def now(self) -> float:
        """Return the time (seconds since the epoch)."""
        return self._sampler.now()

    def tick(self, moment: float) -> None:
        """Record all that is to be recorded. Objects that are gone are forgotten."""
        for ref in list(self._archives):
            if self._store.get(ref) is None:
                del self._archives[ref]
                continue
            archives = self._archives[ref]
            for source in self.sources(ref):
                if source.name in archives:
                    archives[source.name].append((moment, source.read()))

    def stop(self) -> None:
        """Record nothing more."""
        if self._running is not None:
            self._running.cancel()
            self._running = None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self.tick(self._sampler.now())

    # What can be measured

    def sources(self, ref: str) -> Iterator[Source]:
        """Return the data sources of a VM, a host or a repository."""
        record = self._store.record(ref)
        return {"VM": self._of_vm, "host": self._of_host, "SR": self._of_sr}[record.cls](record)

    def _of_vm(self, vm: Record) -> Iterator[Source]:
        def share(number: int) -> float:
            return self._sampler.utilisation(vm).get(number, 0.0)

        for number in self._sampler.utilisation(vm):
            text = f"Share of time for which virtual CPU {number} ran"
            yield Source(f"cpu{number}", text, "(fraction)", 1.0, partial(share, number))
        yield Source("memory", "Memory of the domain", "B", UNBOUNDED, partial(self._sample, vm, "memory_actual"))
        target = float(vm["memory_target"])
        yield Source("memory_target", "Memory that the domain is to have", "B", UNBOUNDED, lambda: target)
        for vif in map(self._store.record, vm["VIFs"]):
            yield from self._transfers(vif, f"vif_{vif['device']}", ("rx", "tx"))
        for vbd in map(self._store.record, vm["VBDs"]):
            name = f"vbd_{vbd['device'] or vbd['userdevice']}"
            yield from self._transfers(vbd, name, ("read", "write"))
            yield from self._latencies(vbd, name)

    def _of_host(self, host: Record) -> Iterator[Source]:
        numbers = [self._store.record(cpu)["number"] for cpu in host["host_CPUs"]]

        def busy(number: int) -> float:
            return self._sampler.cpu_utilisation(host.ref).get(number, 0.0)

        for number in numbers:
            text = f"Share of time for which CPU {number} was busy"
            yield Source(f"cpu{number}", text, "(fraction)", 1.0, partial(busy, number))
        text = "Share of time for which the CPUs were busy, on average"
        yield Source("cpu_avg", text, "(fraction)", 1.0, lambda: sum(map(busy, numbers)) / max(1, len(numbers)))
        metrics = self._store.record(host["metrics"])
        total, free = float(metrics["memory_total"] // KIB), float(metrics["memory_free"] // KIB)
        yield Source("memory_total_kib", "Memory of the host", "KiB", UNBOUNDED, lambda: total)
        yield Source("memory_free_kib", "Memory that nobody holds", "KiB", total, lambda: free)
        for pif in map(self._store.record, host["PIFs"]):
            if pif["physical"]:
                yield from self._transfers(pif, f"pif_{pif['device']}", ("rx", "tx"))

    def _of_sr(self, sr: Record) -> Iterator[Source]:
        size, used = float(sr["physical_size"]), float(sr["physical_utilisation"])
        yield Source("physical_utilisation", "Space in use", "B", size, lambda: used)
        allocated = float(sr["virtual_allocation"])
        yield Source("virtual_allocation", "Size of all disk images", "B", UNBOUNDED, lambda: allocated)

    def _transfers(self, device: Record, name: str, words: tuple[str, str]) -> Iterator[Source]:
        """Return the rates of a device; ``words`` name both directions."""
        for word, name_of_rate in zip(words, ("io_read_kbs", "io_write_kbs"), strict=True):
            text = f"{DIRECTIONS[word]} by the device, per second"
            yield Source(f"{name}_{word}", text, "B/s", UNBOUNDED, partial(self._sample, device, name_of_rate, KIB))

    def _latencies(self, disk: Record, name: str) -> Iterator[Source]:
        """Return how long reads and writes of a disk take, as far as that is measured."""
        for word, latency in zip(("read", "write"), self._sampler.latencies(disk), strict=True):
            if latency is not None:
                text = f"Time that a {word} of the device took, on average"
                yield Source(f"{name}_{word}_latency", text, "μs", UNBOUNDED, partial(float, latency))

    def _sample(self, owner: Record, field: str, factor: float = 1.0) -> float:
        """Return a sampled field of an object's metrics; 0 if it has none."""
        metrics = self._store.get(owner["metrics"])
        return self._store.sampled(metrics, field) * factor if metrics is not None else 0.0
