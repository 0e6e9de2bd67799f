"""Valid arguments for every message of 1.0.

Most follow from the declared types: the object is one of those that are there, a value is another one than it has now.
What a message needs beyond that is in one table, ``PREPARATIONS``: a function that makes the pool ready for it and
returns the arguments.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from typing import Any

from xenapi_facts import FACTS, FLAGS, Message, Parameter, field_types, referred, settable
from xenapi_server import NULL, Wire

MIB = 1 << 20
NUMBERS = count(41)


class Pool:
    """What a wire reaches, and the ways to make something ready there."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.do = wire.do

    def records(self, cls: str, **like: Any) -> dict[str, Any]:
        """The records of a class whose fields have these values."""
        every = self.do(f"{cls}.get_all_records")
        return {ref: each for ref, each in every.items() if all(each[name] == value for name, value in like.items())}

    def one(self, cls: str, **like: Any) -> str:
        """An object of a class whose fields have these values; AssertionError if there is none."""
        found = self.records(cls, **like)
        assert found, f"the pool has no {cls} with {like}"
        return next(iter(found))

    def object(self, cls: str) -> str:
        """An object that messages of a class may be sent to."""
        if cls in OBJECTS:
            return OBJECTS[cls](self)
        return self.one(cls)

    def vm(self, state: str = "Halted") -> str:
        """A VM in a power state, brought there if none is."""
        every = self.records("VM", is_a_template=False, is_control_domain=False, is_a_snapshot=False)
        for ref, record in every.items():
            if record["power_state"] == state:
                return ref
        up = next((ref for ref, record in every.items() if record["power_state"] == "Running"), "")
        if state == "Halted":
            self.do("VM.hard_shutdown", up)
            return up
        if not up:
            up = self.vm("Halted")
            self.do("VM.start", up, False)
        into = {"Paused": "VM.pause", "Suspended": "VM.suspend"}
        if state in into:
            self.do(into[state], up)
        return up

    def number(self) -> int:
        """A number that nobody has had yet."""
        return next(NUMBERS)

    def wait(self, task: str) -> str:
        while self.do("task.get_status", task) == "pending":
            time.sleep(0.005)
        return task

    def settled(self, cls: str, **like: Any) -> str:
        """Wait until an object is as described."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            if found := self.records(cls, **like):
                return next(iter(found))
            time.sleep(0.01)
        raise AssertionError(f"no {cls} became {like}")


def task(pool: Pool) -> str:
    every = pool.do("task.get_all")
    return every[0] if every else pool.wait(pool.do("Async.VM.clone", pool.vm(), "made by a task"))


OBJECTS: dict[str, Callable[[Pool], str]] = {
    "session": lambda pool: pool.wire.session,
    "task": task,
    "VM": lambda pool: pool.vm(),
    "debug": lambda pool: pool.do("debug.create", {}),
    "VBD": lambda pool: pool.one("VBD", VM=pool.vm(), type="Disk"),
    "VIF": lambda pool: pool.one("VIF", VM=pool.vm()),
    "VDI": lambda pool: disk(pool),
    "console": lambda pool: pool.one("console", VM=pool.vm()),
    "PIF": lambda pool: pool.one("PIF", physical=True),
}
"""How to find an object of a class, where not every one will do."""


def arguments(pool: Pool, message: Message) -> list[Any]:
    """Make the pool ready for a message and return valid arguments for it."""
    if message.method in PREPARATIONS:
        return PREPARATIONS[message.method](pool)
    return plain_arguments(pool, message)


def plain_arguments(pool: Pool, message: Message) -> list[Any]:
    """Arguments that are right by their types."""
    given: list[Any] = []
    for parameter in message.parameters:
        current = None
        if message.field and given and parameter.name in ("value", message.field, "cpus", "new_sched_policy"):
            current = pool.do(f"{message.cls}.get_{message.field}", given[0])
        given.append(_argument(pool, message, parameter, current))
    return given


def _argument(pool: Pool, message: Message, parameter: Parameter, current: Any) -> Any:
    kind = parameter.type
    if message.kind == "get_by_uuid":
        return pool.do(f"{message.cls}.get_uuid", pool.object(message.cls))
    if message.kind == "get_by_name_label":
        return pool.do(f"{message.cls}.get_name_label", pool.object(message.cls))
    known = VALUES.get(f"{message.method}.{parameter.name}")
    if known is not None:
        return known
    if referred(kind):
        own = parameter is message.parameters[0]
        return pool.object(referred(kind)) if own else another(pool, referred(kind), current)
    if kind.endswith(" record"):
        return record(pool, message.cls)
    if kind in FACTS["enums"]:
        return next(each["value"] for each in FACTS["enums"][kind] if each["value"] != current)
    if kind == "int":
        return str(int(current or 0) + 1)
    if kind == "bool":
        return not current
    if kind in FLAGS:
        return "1"
    return {"string": "a text", "string set": ["one"], "(string -> string) map": {"a key": "a value"}}[kind]


def another(pool: Pool, cls: str, current: Any) -> str:
    every = pool.do(f"{cls}.get_all")
    return next((ref for ref in every if ref != current), every[0] if every else NULL)


VALUES: dict[str, Any] = {
    "VIF.set_device.value": "6",
    "VIF.set_MAC.value": "02:00:00:00:00:01",
    "VIF.set_MTU.value": "1400",
    "VIF.set_qos_algorithm_type.value": "ratelimit",
    "PIF.set_MAC.value": "02:00:00:00:00:02",
    "PIF.set_MTU.value": "9000",
    "VBD.set_qos_algorithm_type.value": "ionice",
    "VBD.set_mode.value": "RO",
    "network.set_default_gateway.value": "192.0.2.254",
    "network.set_default_netmask.value": "255.255.255.0",
    "cpu_pool.set_sched_policy.new_sched_policy": "credit",
    "cpu_pool.set_ncpu.value": "1",
    "host.send_debug_keys.keys": "q",
    "VM.set_HVM_boot_policy.value": "BIOS order",
    "event.register.classes": ["VM"],
    "event.unregister.classes": ["VM"],
}
"""Values of parameters that are not any text or number."""


def record(pool: Pool, cls: str) -> dict[str, Any]:
    """A record to create an object from: the settable fields of one that is there."""
    if cls in RECORDS:
        return RECORDS[cls](pool)
    return copied(pool, cls, pool.object(cls))


def copied(pool: Pool, cls: str, source: str, **changes: Any) -> dict[str, Any]:
    known = pool.do(f"{cls}.get_record", source)
    return {name: known[name] for name in settable(cls)} | changes


def _new_vbd(pool: Pool, **changes: Any) -> dict[str, Any]:
    vm = pool.vm()
    free = pool.do("VM.get_allowed_VBD_devices", vm)[-1]
    given = {"VM": vm, "VDI": disk(pool), "device": "", "userdevice": free, "bootable": False, "mode": "RW"}
    return given | {"type": "Disk", "qos_algorithm_type": "", "qos_algorithm_params": {}} | changes


def _new_vif(pool: Pool) -> dict[str, Any]:
    vm = pool.vm()
    free = pool.do("VM.get_allowed_VIF_devices", vm)[-1]
    given = {"VM": vm, "network": pool.one("network"), "device": free, "MAC": "02:00:00:00:00:09", "MTU": "1500"}
    return given | {"qos_algorithm_type": "", "qos_algorithm_params": {}}


def _new_pbd(pool: Pool) -> dict[str, Any]:
    """Of a host and a repository that were joined until now."""
    in_use = {vbd["VDI"] for vbd in pool.records("VBD").values() if vbd["currently_attached"]}
    for ref, known in pool.records("PBD").items():
        if in_use & set(pool.do("SR.get_VDIs", known["SR"])):
            continue
        if known["currently_attached"]:
            pool.do("PBD.unplug", ref)
        pool.do("PBD.destroy", ref)
        return {name: known[name] for name in settable("PBD")}
    raise AssertionError("every repository has disks in use")


def _new_cpu_pool(pool: Pool) -> dict[str, Any]:
    name = f"cpus {pool.number()}"
    given = {"name_label": name, "name_description": "", "auto_power_on": False, "ncpu": "1"}
    return given | {"sched_policy": "credit", "proposed_CPUs": [], "other_config": {}}


def _unused(pool: Pool, physical: str, virtual: str) -> str:
    """Something physical that no VM has."""
    taken = {each[physical] for each in pool.records(virtual).values()}
    return next(ref for ref in pool.do(f"{physical}.get_all") if ref not in taken)


def _new_dscsi(pool: Pool) -> dict[str, Any]:
    return {
        "VM": pool.vm(),
        "PSCSI": _unused(pool, "PSCSI", "DSCSI"),
        "virtual_HCTL": f"{pool.number()}:0:0:0",
    }


RECORDS: dict[str, Callable[[Pool], dict[str, Any]]] = {
    "debug": lambda pool: {},
    "VM": lambda pool: copied(pool, "VM", pool.vm(), name_label=f"vm {pool.number()}"),
    "VDI": lambda pool: new_disk(pool),
    "VBD": _new_vbd,
    "VIF": _new_vif,
    "PBD": _new_pbd,
    "VTPM": lambda pool: {"VM": fresh_vm(pool), "backend": pool.one("VM", is_control_domain=True), "other_config": {}},
    "DPCI": lambda pool: {"VM": pool.vm(), "PPCI": _unused(pool, "PPCI", "DPCI"), "hotplug_slot": "-1"},
    "DSCSI": lambda pool: {
        "VM": pool.vm(),
        "PSCSI": _unused(pool, "PSCSI", "DSCSI"),
        "virtual_HCTL": f"{pool.number()}:0:0:0",
    },
    "DSCSI_HBA": lambda pool: {"VM": pool.vm(), "virtual_host": str(pool.number()), "assignment_mode": "LUN"},
    "user": lambda pool: {"short_name": f"user{pool.number()}", "fullname": "Somebody"},
    "cpu_pool": _new_cpu_pool,
    "console": lambda pool: {"protocol": "rfb", "location": "", "VM": pool.vm(), "other_config": {}},
}
"""Records to create objects from, where a copy of another will not do."""


def created(cls: str) -> Callable[[Pool], list[Any]]:
    """An object made to be destroyed, or to be changed as no other may."""
    return lambda pool: [pool.do(f"{cls}.create", record(pool, cls))]


def new_disk(pool: Pool) -> dict[str, Any]:
    sr = next(ref for ref, each in pool.records("SR").items() if each["type"] == "nfs")
    given = {"name_label": f"disk {pool.number()}", "name_description": "", "SR": sr, "virtual_size": str(64 * MIB)}
    return given | {"type": "user", "sharable": False, "read_only": False, "other_config": {}}


def disk(pool: Pool) -> str:
    return pool.do("VDI.create", new_disk(pool))


def fresh_vm(pool: Pool) -> str:
    return pool.do("VM.clone", pool.vm(), f"vm {pool.number()}")


def state(power_state: str, *rest: Any) -> Callable[[Pool], list[Any]]:
    """A VM in a power state."""
    return lambda pool: [pool.vm(power_state), *rest]


def _with_room(*rest: Any) -> Callable[[Pool], list[Any]]:
    """A halted VM whose four limits of memory have room between them."""

    def prepare(pool: Pool) -> list[Any]:
        vm = fresh_vm(pool)
        pool.do("VM.set_memory_limits", vm, *(str(size * MIB) for size in (256, 1024, 512, 768)))
        return [vm, *rest]

    return prepare


def _with_vcpus(*rest: Any) -> Callable[[Pool], list[Any]]:
    """A halted VM that may have four virtual CPUs and starts with two."""

    def prepare(pool: Pool) -> list[Any]:
        vm = fresh_vm(pool)
        pool.do("VM.set_VCPUs_at_startup", vm, "1")
        pool.do("VM.set_VCPUs_max", vm, "4")
        pool.do("VM.set_VCPUs_at_startup", vm, "2")
        return [vm, *rest]

    return prepare


def _live_memory(field: str) -> Callable[[Pool], list[Any]]:
    def prepare(pool: Pool) -> list[Any]:
        vm = pool.vm("Running")
        return [vm, pool.do(f"VM.get_{field}", vm)]

    return prepare


def _migrate(pool: Pool) -> list[Any]:
    vm = pool.vm("Running")
    here = pool.do("VM.get_resident_on", vm)
    there = next(ref for ref in pool.do("host.get_all") if ref != here)
    return [vm, pool.do("host.get_address", there), True, {}]


def _plug(cls: str, *, plugged: bool) -> Callable[[Pool], list[Any]]:
    """A device of a running VM that is plugged or not."""

    def prepare(pool: Pool) -> list[Any]:
        vm = pool.vm("Running")
        for ref, known in pool.records(cls, VM=vm).items():
            if cls == "VBD" and (known["type"] != "Disk" or known["userdevice"] == "0"):
                continue
            if known["currently_attached"] != plugged:
                pool.do(f"{cls}.{'plug' if plugged else 'unplug'}", ref)
            return [ref]
        raise AssertionError(f"{vm} has no {cls} to plug")

    return prepare


def _drive(pool: Pool, *, empty: bool = True) -> str:
    images = {ref for ref, each in pool.records("SR").items() if each["content_type"] == "iso"}
    image = next(ref for ref, each in pool.records("VDI").items() if each["SR"] in images)
    given = {"type": "CD", "mode": "RO", "VDI": NULL if empty else image, "empty": empty}
    return pool.do("VBD.create", _new_vbd(pool, **given))


def _free_device(pool: Pool) -> list[Any]:
    vbd = pool.do("VBD.create", _new_vbd(pool))
    free = pool.do("VM.get_allowed_VBD_devices", pool.do("VBD.get_VM", vbd))[0]
    return [vbd, f"xvd{chr(ord('a') + int(free))}"]


def _media_change(pool: Pool) -> list[Any]:
    images = {ref for ref, each in pool.records("SR").items() if each["content_type"] == "iso"}
    return [_drive(pool), next(ref for ref, each in pool.records("VDI").items() if each["SR"] in images)]


def _vlan(pool: Pool) -> list[Any]:
    network = pool.do("network.create", {"name_label": f"net {pool.number()}", "other_config": {}})
    pif = pool.one("PIF", physical=True, bond_slave_of=NULL)
    return [pool.do("PIF.get_device", pif), network, pool.do("PIF.get_host", pif), str(pool.number())]


def _vlan_pif(*rest: Any) -> Callable[[Pool], list[Any]]:
    return lambda pool: [pool.do("PIF.create_VLAN", *_vlan(pool)), *rest]


def _empty_host(pool: Pool) -> str:
    """A host, not the first, that runs nothing and takes nothing."""
    host = pool.do("host.get_all")[-1]
    pool.do("host.disable", host)
    for ref in pool.records("VM", resident_on=host, is_control_domain=False):
        pool.do("VM.hard_shutdown", ref)
    return host


def _lasting_task(pool: Pool) -> list[Any]:
    return [pool.do("Async.VM.suspend", pool.vm("Running"))]


def _registered(*rest: Any) -> Callable[[Pool], list[Any]]:
    """A session that is registered, and a change for it to hear of."""

    def prepare(pool: Pool) -> list[Any]:
        pool.do("event.register", ["VM"])
        pool.do("VM.set_user_version", pool.vm(), str(pool.number()))
        return list(rest)

    return prepare


def _cpu_pool(*, active: bool, cpus: int = 0) -> Callable[[Pool], list[Any]]:
    """A new pool of CPUs, with so many of the host's."""

    def prepare(pool: Pool) -> list[Any]:
        ref = pool.do("cpu_pool.create", _new_cpu_pool(pool))
        free = _free_cpus(pool, ref, max(1, cpus))
        if active:
            pool.do("cpu_pool.activate", ref)
            for cpu in free[:cpus]:
                if cpu not in pool.do("cpu_pool.get_host_CPUs", ref):
                    pool.do("cpu_pool.add_host_CPU_live", ref, cpu)
        return [ref]

    return prepare


def _free_cpus(pool: Pool, ref: str, most: int) -> list[str]:
    """CPUs of a pool's host that are in no pool; taken away from the largest pool until there are so many."""
    host = pool.do("cpu_pool.get_resident_on", ref)
    while True:
        free = [cpu for cpu in pool.do("host_cpu.get_unassigned_cpus") if pool.do("host_cpu.get_host", cpu) == host]
        if len(free) >= most:
            return free
        pools = pool.records("cpu_pool", resident_on=host)
        largest = max(pools, key=lambda each: len(pools[each]["host_CPUs"]))
        pool.do("cpu_pool.remove_host_CPU_live", largest, pools[largest]["host_CPUs"][-1])


def _add_cpu(pool: Pool) -> list[Any]:
    (ref,) = _cpu_pool(active=True)(pool)
    return [ref, _free_cpus(pool, ref, 1)[0]]


def _remove_cpu(pool: Pool) -> list[Any]:
    (ref,) = _cpu_pool(active=True, cpus=2)(pool)
    return [ref, pool.do("cpu_pool.get_host_CPUs", ref)[-1]]


def _cpu_number(pool: Pool) -> list[Any]:
    (ref,) = _cpu_pool(active=False)(pool)
    return [ref, "1"]


def _proposed_cpu(pool: Pool) -> list[Any]:
    ref, number = _cpu_number(pool)
    pool.do("cpu_pool.add_to_proposed_CPUs", ref, number)
    return [ref, number]


def _cpu_pool_migrate(pool: Pool) -> list[Any]:
    vm = pool.vm("Running")
    host = pool.do("VM.get_resident_on", vm)
    return [vm, next(ref for ref in pool.records("cpu_pool", resident_on=host, activated=True))]


def _sized_disk(pool: Pool) -> list[Any]:
    return [disk(pool), str(128 * MIB)]


def _label(get: str) -> Callable[[Pool], list[Any]]:
    """An object, a label of the policy, and the label that the object has now."""
    cls = get.split(".")[0]

    def prepare(pool: Pool) -> list[Any]:
        ref = pool.object(cls)
        return [ref, LABEL, pool.do(get, ref)]

    return prepare


LABEL = "ACM:example:blue"
"""A label that the policy of the scenario knows."""


def _policy(pool: Pool) -> list[Any]:
    return ["1", pool.do("XSPolicy.get_xspolicy")["repr"], "1", True]


def _resource(pool: Pool) -> list[Any]:
    resource = "phy:/dev/example"
    return [resource, LABEL, pool.do("XSPolicy.get_resource_label", resource)]


PREPARATIONS: dict[str, Callable[[Pool], list[Any]]] = {
    "session.login_with_password": lambda pool: ["root", ""],
    "task.cancel": _lasting_task,
    "event.next": _registered(),
    "event.unregister": _registered(["VM"]),
    "VM.clone": state("Halted", "a clone"),
    "VM.start": state("Halted", False),
    "VM.pause": state("Running"),
    "VM.unpause": state("Paused"),
    "VM.clean_shutdown": state("Running"),
    "VM.clean_reboot": state("Running"),
    "VM.hard_shutdown": state("Running"),
    "VM.hard_reboot": state("Running"),
    "VM.suspend": state("Running"),
    "VM.resume": state("Suspended", False),
    "VM.set_VCPUs_number_live": state("Running", "1"),
    "VM.add_to_VCPUs_params_live": state("Running", "cap", "50"),
    "VM.set_memory_dynamic_max_live": _live_memory("memory_dynamic_max"),
    "VM.set_memory_dynamic_min_live": _live_memory("memory_dynamic_min"),
    "VM.send_sysrq": state("Running", "h"),
    "VM.send_trigger": state("Running", "power"),
    "VM.migrate": _migrate,
    "VM.set_is_a_template": lambda pool: [fresh_vm(pool), True],
    "VM.set_memory_static_max": _with_room(str(1025 * MIB)),
    "VM.set_memory_dynamic_max": _with_room(str(769 * MIB)),
    "VM.set_memory_dynamic_min": _with_room(str(513 * MIB)),
    "VM.set_memory_static_min": _with_room(str(257 * MIB)),
    "VM.set_VCPUs_max": _with_vcpus("5"),
    "VM.set_VCPUs_at_startup": _with_vcpus("3"),
    "VM.set_security_label": _label("VM.get_security_label"),
    "VM.destroy": lambda pool: [fresh_vm(pool)],
    "VM.cpu_pool_migrate": _cpu_pool_migrate,
    "VM.set_pool_name": lambda pool: [pool.vm(), pool.do("cpu_pool.get_name_label", pool.one("cpu_pool"))],
    "host.shutdown": lambda pool: [_empty_host(pool)],
    "host.reboot": lambda pool: [_empty_host(pool)],
    "network.destroy": created("network"),
    "VIF.plug": _plug("VIF", plugged=False),
    "VIF.unplug": _plug("VIF", plugged=True),
    "VIF.set_security_label": _label("VIF.get_security_label"),
    "VIF.destroy": created("VIF"),
    "PIF.create_VLAN": _vlan,
    "PIF.set_VLAN": _vlan_pif("777"),
    "PIF.set_device": _vlan_pif("eth0"),
    "PIF.set_MAC": _vlan_pif("02:00:00:00:00:02"),
    "PIF.set_MTU": _vlan_pif("1400"),
    "PIF.destroy": _vlan_pif(),
    "VDI.set_virtual_size": _sized_disk,
    "VDI.set_security_label": _label("VDI.get_security_label"),
    "VDI.destroy": created("VDI"),
    "VBD.media_change": _media_change,
    "VBD.plug": _plug("VBD", plugged=False),
    "VBD.unplug": _plug("VBD", plugged=True),
    "VBD.set_device": _free_device,
    "VBD.set_type": lambda pool: [_drive(pool, empty=False), "Disk"],
    "VBD.destroy": created("VBD"),
    "PBD.destroy": lambda pool: [pool.do("PBD.create", _new_pbd(pool))],
    "VTPM.destroy": created("VTPM"),
    "console.destroy": created("console"),
    "DPCI.destroy": created("DPCI"),
    "DSCSI.destroy": created("DSCSI"),
    "DSCSI_HBA.destroy": created("DSCSI_HBA"),
    "user.destroy": created("user"),
    "XSPolicy.set_xspolicy": _policy,
    "XSPolicy.set_resource_label": _resource,
    "XSPolicy.can_run": lambda pool: [""],
    "ACMPolicy.get_VM_ssidref": state("Running"),
    "cpu_pool.activate": _cpu_pool(active=False),
    "cpu_pool.deactivate": _cpu_pool(active=True),
    "cpu_pool.destroy": _cpu_pool(active=False),
    "cpu_pool.add_host_CPU_live": _add_cpu,
    "cpu_pool.remove_host_CPU_live": _remove_cpu,
    "cpu_pool.set_proposed_CPUs": lambda pool: [_cpu_number(pool)[0], ["1"]],
    "cpu_pool.add_to_proposed_CPUs": _cpu_number,
    "cpu_pool.remove_from_proposed_CPUs": _proposed_cpu,
    "cpu_pool.set_ncpu": lambda pool: [_cpu_number(pool)[0], "2"],
}


def read_back(pool: Pool, message: Message, given: list[Any]) -> str:
    """What a message that writes a field has left undone; empty if the field reads as it was told."""
    field = message.field
    if not field or message.name.startswith("get_"):
        return ""
    now = pool.do(f"{message.cls}.get_{field}", given[0])
    kind = field_types(message.cls)[field]
    if message.name.startswith("set_"):
        return "" if now == given[1] else f"{field} was set to {given[1]!r} and is {now!r}"
    key, rest = given[1], given[2:]
    present = key in now and (not rest or not kind.endswith(" map") or now[key] == rest[0])
    if message.kind == "add_to":
        return "" if present else f"{given[1:]!r} was added to {field}, which is {now!r}"
    return f"{key!r} was removed from {field}, which is {now!r}" if key in now else ""
