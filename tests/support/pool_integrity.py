"""Whether a pool is whole, as any client sees it.

References lead somewhere, both ends of each relation agree, nothing is half made, no operation is left over, power
states are what the hypervisors run, and the sums are right.

Needs a connection that is logged in, nothing else.
"""

from __future__ import annotations

import re
import time
import xmlrpc.client
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from xenapi_core.datamodel import Datamodel
from xenapi_core.datamodel.types import Map, Reference, Set, Type

NULL = "OpaqueRef:NULL"
MODEL = Datamodel.load()
KEPT = [name for name, cls in MODEL.classes.items() if f"{name}.get_all_records" in MODEL.messages and cls.persistent]
"""The classes whose objects outlive the server."""

MAY_DANGLE = {"VM.snapshot_of", "VDI.snapshot_of", "VDI.parent"}
"""References that remember objects which may be gone."""

PARTS = {"VM_metrics": "VM", "VBD_metrics": "VBD", "VIF_metrics": "VIF", "host_metrics": "host"}
"""Classes whose objects are a part of exactly one object, in its field ``metrics``."""

UP = ("Running", "Paused", "Crashed")

Call = Callable[..., Any]
"""Sends a call of the session and returns its value: call("VM.start", ref, False)."""

Pool = dict[str, dict[str, dict[str, Any]]]
"""Records by class and reference, as xmlrpc.client reads them."""


def read(call: Call) -> Pool:
    """Return all records that outlive the server."""
    return {cls: call(f"{cls}.get_all_records") for cls in KEPT}


def problems(call: Call, idle_within: float = 30.0) -> list[str]:
    """Return what is wrong with a pool that nobody else writes to, in sentences; nothing if it is whole.

    Work that the server began by itself when it started gets ``idle_within`` seconds to end.
    """
    deadline = time.monotonic() + idle_within
    while True:
        pool = read(call)
        busy = list(_busy(pool))
        if not busy or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    checks = (_references, _relations, _uuids, _parts, _devices, _power_states, _memory, _space)
    found = [*busy, *_tasks(call), *(problem for check in checks for problem in check(pool))]
    return found + list(_domains(call, pool))


def _busy(pool: Pool) -> Iterator[str]:
    for cls, records in pool.items():
        for ref, record in records.items():
            if record.get("current_operations"):
                yield f"{cls} {ref} is left in {sorted(record['current_operations'].values())}"


def _tasks(call: Call) -> Iterator[str]:
    for ref, task in call("task.get_all_records").items():
        if task["status"] not in ("success", "failure", "cancelled"):
            yield f"task {ref} ({task['name_label']}) is left {task['status']}"


def _references(pool: Pool) -> Iterator[str]:
    for cls, records in pool.items():
        for field in MODEL.classes[cls].fields.values():
            if field.internal or f"{cls}.{field.name}" in MAY_DANGLE:
                continue
            for ref, record in records.items():
                for target, value in _referred(field.type, record.get(field.name)):
                    if target in pool and value != NULL and value not in pool[target]:
                        yield f"{cls} {ref}: {field.name} is {value}, which is no {target}"


def _referred(kind: Type, value: Any) -> Iterator[tuple[str, str]]:
    """Yield the references in a value, each with its class."""
    if value is None:
        return
    if isinstance(kind, Reference):
        yield kind.cls, value
    elif isinstance(kind, Set):
        for item in value:
            yield from _referred(kind.of, item)
    elif isinstance(kind, Map):
        for key, item in value.items():
            yield from _referred(kind.key, key)
            yield from _referred(kind.value, item)


def _relations(pool: Pool) -> Iterator[str]:
    for cls, records in pool.items():
        for field in MODEL.classes[cls].fields.values():
            if field.opposite is None or field.opposite[0] not in pool:
                continue
            many, name = field.opposite
            expected: dict[str, set[str]] = {ref: set() for ref in records}
            for ref, record in pool[many].items():
                expected.get(record[name], set()).add(ref)
            for ref, record in records.items():
                if set(record[field.name]) != expected[ref] or len(record[field.name]) != len(expected[ref]):
                    yield f"{cls} {ref}: {field.name} is not what {many}.{name} says"


def _uuids(pool: Pool) -> Iterator[str]:
    for cls, records in pool.items():
        for uuid, count in Counter(record.get("uuid", ref) for ref, record in records.items()).items():
            if count > 1 or not uuid:
                yield f"{count} objects of class {cls} have the uuid {uuid!r}"


def _parts(pool: Pool) -> Iterator[str]:
    for part, whole in PARTS.items():
        owned = Counter(record["metrics"] for record in pool[whole].values())
        for ref in pool[part].keys() ^ (owned.keys() - {NULL}):
            yield f"{part} {ref} belongs to {owned[ref]} objects of class {whole}"
        for ref, count in owned.items():
            if count > 1 and ref != NULL:
                yield f"{part} {ref} belongs to {count} objects of class {whole}"
    told = Counter(vm["guest_metrics"] for vm in pool["VM"].values())
    for ref in pool["VM_guest_metrics"]:
        if told[ref] != 1:
            yield f"VM_guest_metrics {ref} belongs to {told[ref]} VMs"


def _devices(pool: Pool) -> Iterator[str]:
    for ref, vbd in pool["VBD"].items():
        if vbd["VM"] not in pool["VM"]:
            yield f"VBD {ref} has no VM"
        if (vbd["VDI"] == NULL) != vbd["empty"] or (vbd["empty"] and vbd["type"] == "Disk"):
            yield f"VBD {ref} is a {vbd['type']}, empty: {vbd['empty']}, and its VDI is {vbd['VDI']}"
    for ref, vif in pool["VIF"].items():
        if vif["VM"] not in pool["VM"] or vif["network"] not in pool["network"]:
            yield f"VIF {ref} is in VM {vif['VM']} and network {vif['network']}"
    for ref, vdi in pool["VDI"].items():
        if vdi["SR"] not in pool["SR"]:
            yield f"VDI {ref} has no SR"
    for cls in ("VBD", "VIF"):
        for ref, device in pool[cls].items():
            up = pool["VM"].get(device["VM"], {}).get("power_state") in UP
            if device["currently_attached"] and not up:
                yield f"{cls} {ref} is attached to a VM that has no domain"


def _power_states(pool: Pool) -> Iterator[str]:
    images = Counter(vm["suspend_VDI"] for vm in pool["VM"].values() if vm["suspend_VDI"] != NULL)
    for ref, vm in pool["VM"].items():
        up = vm["power_state"] in UP
        facts = {
            "resident_on": vm["resident_on"] != NULL,
            "domid": int(vm["domid"]) >= 0,
            "VCPUs_number": int(pool["VM_metrics"].get(vm["metrics"], {"VCPUs_number": up})["VCPUs_number"]) > 0,
        }
        for name, fact in facts.items():
            if fact != up:
                yield f"VM {ref} is {vm['power_state']}, and its {name} says otherwise"
        if (vm["suspend_VDI"] != NULL) != (vm["power_state"] == "Suspended"):
            yield f"VM {ref} is {vm['power_state']}, and its suspend_VDI is {vm['suspend_VDI']}"
        if vm["scheduled_to_be_resident_on"] != NULL:
            yield f"VM {ref} is still to run on {vm['scheduled_to_be_resident_on']}"
    for ref, vdi in pool["VDI"].items():
        if images[ref] != (vdi["type"] == "suspend"):
            yield f"VDI {ref} of type {vdi['type']} holds the memory of {images[ref]} VMs"


def _memory(pool: Pool) -> Iterator[str]:
    for ref, host in pool["host"].items():
        metrics = pool["host_metrics"][host["metrics"]]
        held = sum(
            int(vm["memory_target"]) + int(vm["memory_overhead"])
            for vm in pool["VM"].values()
            if vm["resident_on"] == ref
        )
        free = int(metrics["memory_total"]) - int(host["memory_overhead"]) - held
        if metrics["live"] and int(metrics["memory_free"]) != free:
            yield f"host {ref} has {metrics['memory_free']} bytes free, and {free} follow from its VMs"


def _space(pool: Pool) -> Iterator[str]:
    for ref, sr in pool["SR"].items():
        for total, part in (("virtual_allocation", "virtual_size"), ("physical_utilisation", "physical_utilisation")):
            added = sum(int(pool["VDI"][vdi][part]) for vdi in sr["VDIs"] if vdi in pool["VDI"])
            if int(sr[total]) != added:
                yield f"SR {ref}: {total} is {sr[total]}, and its images add up to {added}"


def _domains(call: Call, pool: Pool) -> Iterator[str]:
    """Ask each host's hypervisor which domains it runs, and compare with the records."""
    for ref, host in pool["host"].items():
        try:
            call("host.send_debug_keys", ref, "q")
            log = call("host.dmesg", ref)
        except xmlrpc.client.Error as error:
            yield f"host {ref} does not tell what it runs: {error}"
            continue
        last = log.rpartition("'q' pressed")[2]
        running = {int(number) for number in re.findall(r"General information for domain (\d+)", last)}
        known = {
            int(vm["domid"])
            for vm in pool["VM"].values()
            if vm["resident_on"] == ref and not vm["is_control_domain"] and vm["power_state"] in UP
        }
        if running != known:
            yield f"host {host['name_label']} runs the domains {sorted(running)}, and the records say {sorted(known)}"
