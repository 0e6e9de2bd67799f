"""Methods of Xen_VirtualSystemManagementService: machines are defined, copied, changed and destroyed (DSP1042)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cim_provider import Instance, InstanceName, MethodResult, Value
from xen_providers.conversions import NULL, uri, xen_id
from xen_providers.hosts import HOST_COMPUTER_SYSTEM
from xen_providers.mapping.declaration import MappedMethod
from xen_providers.methods.call import Call
from xen_providers.methods.device_settings import (
    CD_TYPES,
    KVP_PREFIX,
    Console,
    Disk,
    KeyValuePair,
    NetworkPort,
)
from xen_providers.methods.embedded import parse_name
from xen_providers.methods.inputs import Inputs, Settings, as_text, embedded, needed
from xen_providers.methods.machines import Machine, find_machine, machine_or_none, system
from xen_providers.methods.objects import find_object
from xen_providers.methods.outcomes import COMPLETED, MethodError, invalid
from xen_providers.methods.parameters import (
    JOB,
    RASD,
    SYSTEM,
    VSSD,
    method,
    reference,
    resulting,
    settings_of,
    system_management_methods,
)
from xen_providers.methods.removal import remove
from xen_providers.methods.resource_settings import MEMORY, PROCESSOR, Memory, Plan, Processors, Resource
from xen_providers.methods.state_changes import AFFECTED_VM
from xen_providers.methods.system_settings import new_system, read_fields
from xen_providers.methods.work import RESULT, Work

MODIFY_JOB, CREATE_JOB = "Xen_VirtualSystemModifyResourcesJob", "Xen_VirtualSystemCreateJob"

BY_CLASS: Mapping[str, type[Plan]] = {
    kind.class_name.lower(): kind for kind in (Processors, Memory, Disk, NetworkPort, Console, KeyValuePair)
} | {
    # The classes of libvirt-cim.
    "xen_procresourceallocationsettingdata": Processors,
    "xen_memresourceallocationsettingdata": Memory,
    "xen_diskresourceallocationsettingdata": Disk,
    "xen_netresourceallocationsettingdata": NetworkPort,
    "xen_graphicsresourceallocationsettingdata": Console,
}
BY_RESOURCE_TYPE: Mapping[int, type[Plan]] = {
    3: Processors,
    4: Memory,
    10: NetworkPort,
    33: NetworkPort,
    17: Disk,
    19: Disk,
    31: Disk,
    **dict.fromkeys(CD_TYPES, Disk),
    24: Console,
}


def read_plan(settings: Settings) -> Plan:
    """Return what settings of a resource say: of which kind it is their class says, or else ResourceType."""
    kind = BY_CLASS.get(settings.class_name.lower())
    if kind is None:
        number = needed(f"{settings.parameter}.ResourceType", settings.number("ResourceType"))
        kind = BY_RESOURCE_TYPE.get(number)
        if kind is None:
            raise invalid(f"{settings.parameter}.ResourceType", f"{number} is nothing that a machine can have.")
    return kind.read(settings)


# Which machines and resources are meant


def find_resource(call: Call, parameter: str, instance_id: str | None) -> Resource:
    """Return the resource that an InstanceID ``Xen:<machine>/<device>`` names."""
    owner, _, device = needed(f"{parameter}.InstanceID", instance_id).partition("/")
    machine = find_machine(call, parameter, owner)
    kinds: Mapping[str, type[Plan]] = {PROCESSOR: Processors, MEMORY: Memory}
    if device in kinds:
        return Resource(machine.ref, kinds[device])
    devices: Sequence[tuple[str, type[Plan]]] = (("VBD", Disk), ("VIF", NetworkPort), ("console", Console))
    for cls, kind in devices:
        found = call.view.find(cls, device)
        if found is not None and found[1]["VM"] == machine.ref:
            return Resource(machine.ref, kind, found[0])
    if KVP_PREFIX + device in machine.record["xenstore_data"]:
        return Resource(machine.ref, KeyValuePair, key=device)
    raise invalid(parameter, f"there is no resource {instance_id}.")


async def system_name(work: Work, vm: str) -> InstanceName:
    """Return the name of a machine."""
    uuid = await work.xen("VM.get_uuid", vm)
    return InstanceName("Xen_ComputerSystem", (("CreationClassName", "Xen_ComputerSystem"), ("Name", uuid)))


# Methods


async def _define_system(call: Call, inputs: Inputs) -> MethodResult:
    """Make a machine from nothing, or from a template, a machine or a snapshot; with resources that is a job."""
    settings = needed("SystemSettings", inputs.settings("SystemSettings"))
    fields = await read_fields(settings, call.xen)
    plans = [read_plan(each) for each in inputs.all_settings("ResourceSettings")]
    source = machine_or_none(call, inputs, "ReferenceConfiguration")
    record = new_system(settings, fields) if source is None else None
    name = needed(f"{settings.parameter}.ElementName", settings.text("ElementName") or None)
    made: list[str] = []

    async def create(work: Work) -> Mapping[str, Value]:
        if source is None:
            vm = await work.make("VM.create", record)
        else:
            vm = await work.make("VM.clone", source.ref, name)
            await work.update("VM", vm, await work.xen("VM.get_record", vm), fields)
        made.append(vm)
        await work.tell(AFFECTED_VM, vm)
        await call.replica.settle("VM", vm)
        return {"ResultingSystem": await system_name(work, vm)}

    async def complete(work: Work) -> None:
        if source is not None and source.record["is_a_template"]:
            await work.slowly("VM.provision", made[0], until=0.5)
        await _add_all(work, made[0], plans, to_new=True)

    if plans or (source is not None and source.record["is_a_template"]):
        return await call.begin(MODIFY_JOB, complete, first=create)
    return MethodResult(COMPLETED, await call.do(create))


async def _add_all(work: Work, vm: str, plans: Sequence[Plan], *, to_new: bool) -> list[InstanceName]:
    """Give a machine resources; processors and memory first, as devices may need them."""
    begun = work.done
    names: list[InstanceName] = []
    for number, plan in enumerate(sorted(plans, key=lambda each: not isinstance(each, Processors | Memory)), 1):
        names.append(await plan.add(work, vm, to_new=to_new))
        await work.progress(begun + (1 - begun) * number / len(plans))
    paths = [uri(each.class_name, "InstanceID", str(each.get("InstanceID"))) for each in names]
    await work.tell(f"{RESULT}AffectedResources", "\n".join(paths))
    return names


async def _copy_system(call: Call, inputs: Inputs) -> MethodResult:
    """Copy a machine or a snapshot with its disks, or make a machine from a template, as a job."""
    settings = needed("SystemSettings", inputs.settings("SystemSettings"))
    fields = await read_fields(settings, call.xen)
    name = needed(f"{settings.parameter}.ElementName", settings.text("ElementName") or None)
    source = needed("ReferenceConfiguration", machine_or_none(call, inputs, "ReferenceConfiguration"))
    repository = _repository(call, inputs.get("StoragePool"))

    async def copy(work: Work) -> None:
        if source.record["is_a_template"] and not source.record["is_a_snapshot"]:
            vm = await work.make_slowly("VM.clone", source.ref, name, until=0.3)
            await work.slowly("VM.provision", vm, until=0.9)
        else:
            vm = await work.make_slowly("VM.copy", source.ref, name, repository, until=0.9)
            await work.change("VM.set_is_a_template", vm, False, back=[True])
        await work.update("VM", vm, await work.xen("VM.get_record", vm), fields)
        made = await system_name(work, vm)
        await work.tell(AFFECTED_VM, vm)
        keys = ",".join(f'{key}="{value}"' for key, value in made.keys)
        await work.tell(f"{RESULT}ResultingSystem", f"root/cimv2:{made.class_name}.{keys}")

    return await call.begin(CREATE_JOB, copy)


def _repository(call: Call, value: Any) -> str:
    """Return the storage that a storage pool's path or uuid names; the pool's default if none does."""
    if value is not None and (not isinstance(value, str) or value.strip()):
        return find_object(call, "SR", "StoragePool", value, "storage pool")[0]
    pool = next(iter(call.view.version.records("pool").values()), {"default_SR": NULL})
    return str(pool["default_SR"])


async def _destroy_system(call: Call, inputs: Inputs) -> MethodResult:
    """Destroy a machine that does not run, with the disks that are its alone."""
    machine = system(call, inputs, "AffectedSystem")
    await remove(call.xen, "VM", machine.ref)
    await call.replica.settle("VM", machine.ref)
    return MethodResult(COMPLETED)


async def _convert_to_template(call: Call, inputs: Inputs) -> MethodResult:
    """Make a template of a machine that is halted."""
    machine = system(call, inputs, "System")
    await call.xen("VM.set_is_a_template", machine.ref, True)
    await call.replica.settle("VM", machine.ref)
    template = InstanceName("Xen_ComputerSystemTemplate", (("InstanceID", xen_id(machine.record["uuid"])),))
    return MethodResult(COMPLETED, {"ResultingTemplate": template})


async def _find_possible_hosts(call: Call, inputs: Inputs) -> MethodResult:
    """Return the hosts that could run a machine now."""
    machine = system(call, inputs, "System", "AffectedSystem")
    possible = []
    for ref, record in call.view.version.records("host").items():
        try:
            await call.xen("VM.assert_can_boot_here", machine.ref, ref)
        except MethodError:
            continue
        keys = (("CreationClassName", HOST_COMPUTER_SYSTEM.name), ("Name", record["uuid"]))
        possible.append(InstanceName(HOST_COMPUTER_SYSTEM.name, keys))
    return MethodResult(COMPLETED, {"PossibleHosts": possible})


async def _modify_system_settings(call: Call, inputs: Inputs) -> MethodResult:
    """Change settings of a machine, a template or a snapshot: all that are given, or none."""
    settings = needed("SystemSettings", inputs.settings("SystemSettings"))
    owner = settings.text("InstanceID")
    machine = find_machine(call, f"{settings.parameter}.InstanceID", needed(f"{settings.parameter}.InstanceID", owner))
    fields = await read_fields(settings, call.xen)

    async def modify(work: Work) -> None:
        await work.update("VM", machine.ref, await work.xen("VM.get_record", machine.ref), fields)

    await call.do(modify)
    await call.replica.settle("VM", machine.ref)
    return MethodResult(COMPLETED)


def _affected(call: Call, inputs: Inputs) -> Machine:
    name = "AffectedSystem" if "AffectedSystem" in inputs else "AffectedConfiguration"
    return find_machine(call, name, needed(name, inputs.get(name)))


async def _add_resource_settings(call: Call, inputs: Inputs) -> MethodResult:
    """Give a machine resources, as a job; if they are key-value pairs alone, at once."""
    machine = _affected(call, inputs)
    plans = [read_plan(each) for each in inputs.all_settings("ResourceSettings")]
    if not plans:
        raise invalid("ResourceSettings", "it is missing.")

    async def add(work: Work) -> list[InstanceName]:
        return await _add_all(work, machine.ref, plans, to_new=False)

    async def add_as_job(work: Work) -> None:
        await add(work)

    if all(isinstance(each, KeyValuePair) for each in plans):
        names = await call.do(add)
        await call.replica.settle("VM", machine.ref)
        return MethodResult(COMPLETED, {"ResultingResourceSettings": names})
    return await call.begin(MODIFY_JOB, add_as_job, {AFFECTED_VM: machine.ref})


async def _add_resource_setting(call: Call, inputs: Inputs) -> MethodResult:
    """Give a machine one resource, at once."""
    machine = _affected(call, inputs)
    plan = read_plan(needed("ResourceSetting", inputs.settings("ResourceSetting")))

    async def add(work: Work) -> list[InstanceName]:
        return await _add_all(work, machine.ref, [plan], to_new=False)

    (name,) = await call.do(add)
    await call.replica.settle("VM", machine.ref)
    return MethodResult(COMPLETED, {"ResultingResourceSetting": name})


async def _modify_resource_settings(call: Call, inputs: Inputs) -> MethodResult:
    """Change resources: all of them as their settings say, or none."""
    changes = []
    for settings in inputs.all_settings("ResourceSettings"):
        resource = find_resource(call, settings.parameter, settings.text("InstanceID"))
        changes.append((resource, resource.kind.read(settings)))
    if not changes:
        raise invalid("ResourceSettings", "it is missing.")

    async def modify(work: Work) -> list[InstanceName]:
        for resource, plan in changes:
            await plan.change(work, resource)
        return [
            InstanceName(resource.kind.class_name, (("InstanceID", str(settings.text("InstanceID"))),))
            for (resource, _), settings in zip(changes, inputs.all_settings("ResourceSettings"), strict=True)
        ]

    names = await call.do(modify)
    for resource, _ in changes:
        await call.replica.settle("VM", resource.machine)
    return MethodResult(COMPLETED, {"ResultingResourceSettings": names})


async def _remove_resource_settings(call: Call, inputs: Inputs) -> MethodResult:
    """Take resources away: devices as a whole; of processors and memory, as much as embedded settings say."""
    changes = []
    for parameter, value in inputs.values("ResourceSettings"):
        settings = None
        if isinstance(value, Instance) or (isinstance(value, str) and value.lstrip().lower().startswith("instance ")):
            settings = Settings(parameter, embedded(parameter, value))
            instance_id = settings.text("InstanceID")
        else:
            name = parse_name(value) if isinstance(value, str) else value
            instance_id = as_text(parameter, name.get("InstanceID") if isinstance(name, InstanceName) else value)
        changes.append((find_resource(call, parameter, instance_id), settings))
    if not changes:
        raise invalid("ResourceSettings", "it is missing.")

    async def take(work: Work) -> None:
        for resource, settings in changes:
            await resource.kind.remove(work, resource, settings)

    await call.do(take)
    for resource, _ in changes:
        await call.replica.settle("VM", resource.machine)
    return MethodResult(COMPLETED)


async def _start_service(call: Call, inputs: Inputs) -> MethodResult:
    """Let machines start on the host that the service belongs to."""
    await call.xen("host.enable", call.record["master"])
    return MethodResult(COMPLETED)


async def _stop_service(call: Call, inputs: Inputs) -> MethodResult:
    """Let no machines start on the host that the service belongs to."""
    await call.xen("host.disable", call.record["master"])
    return MethodResult(COMPLETED)


METHODS: Mapping[str, MappedMethod] = {
    **system_management_methods(
        {
            "DefineSystem": _define_system,
            "DestroySystem": _destroy_system,
            "ModifySystemSettings": _modify_system_settings,
            "AddResourceSettings": _add_resource_settings,
            "ModifyResourceSettings": _modify_resource_settings,
            "RemoveResourceSettings": _remove_resource_settings,
        }
    ),
    "CopySystem": method(
        _copy_system,
        SystemSettings=settings_of(VSSD),
        StoragePool=reference("CIM_ResourcePool"),
        ReferenceConfiguration=reference(VSSD),
        ResultingSystem=resulting(SYSTEM),
        Job=JOB,
    ),
    "ConvertToXenTemplate": method(_convert_to_template, System=reference(SYSTEM), ResultingTemplate=resulting(VSSD)),
    "FindPossibleHostsToRunOn": method(
        _find_possible_hosts,
        System=reference(SYSTEM),
        AffectedSystem=reference(SYSTEM),
        PossibleHosts=resulting(SYSTEM, array=True),
    ),
    "AddResourceSetting": method(
        _add_resource_setting,
        AffectedSystem=reference(SYSTEM),
        ResourceSetting=settings_of(RASD),
        ResultingResourceSetting=resulting(RASD),
        Job=JOB,
    ),
    "StartService": method(_start_service),
    "StopService": method(_stop_service),
}
