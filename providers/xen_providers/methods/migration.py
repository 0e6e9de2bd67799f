"""Methods of Xen_VirtualSystemMigrationService: machines are moved from host to host (DSP1081)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cim_provider import MethodResult, Parameter
from xen_providers.hosts import HOST_COMPUTER_SYSTEM
from xen_providers.mapping.declaration import Handler, MappedMethod
from xen_providers.methods.call import Call
from xen_providers.methods.inputs import Element, Inputs, needed
from xen_providers.methods.machines import Machine, system
from xen_providers.methods.outcomes import COMPLETED, MethodError, invalid
from xen_providers.methods.parameters import JOB, RASD, SYSTEM, VSSD, method, reference, settings_of
from xen_providers.methods.state_changes import AFFECTED_VM

MIGRATION_JOB = "Xen_VirtualSystemMigrationServiceJob"
LIVE = 2

FindHost = Callable[[Call, Inputs], str]
"""Returns the reference of the host that the inputs name."""


def _named_host(call: Call, inputs: Inputs) -> str:
    """Find a host by its address, its name on the network, its name for people, or its uuid."""
    name = needed("DestinationHost", inputs.text("DestinationHost"))
    found = [
        ref
        for ref, record in call.view.version.records("host").items()
        if name in (record["address"], record["hostname"], record["name_label"], record["uuid"])
    ]
    if len(found) != 1:
        raise invalid("DestinationHost", f"{len(found)} hosts are called {name!r}.")
    return found[0]


def _given_host(call: Call, inputs: Inputs) -> str:
    host: Element | None = inputs.element("DestinationSystem", HOST_COMPUTER_SYSTEM)
    return needed("DestinationSystem", host).ref


def _machine(call: Call, inputs: Inputs) -> Machine:
    """Return the machine that is to move; it can only move while it runs, whatever MigrationSettingData says."""
    settings = inputs.settings("MigrationSettingData")
    kind = None if settings is None else settings.number("MigrationType")
    if kind not in (None, LIVE):
        raise invalid("MigrationSettingData.MigrationType", f"{kind} is not 2 (Live).")
    return system(call, inputs, "ComputerSystem")


def _migrate_to(find_host: FindHost) -> Handler:
    async def migrate(call: Call, inputs: Inputs) -> MethodResult:
        """Begin to move a machine, as a job."""
        machine, host = _machine(call, inputs), find_host(call, inputs)
        task = await call.xen("Async.VM.pool_migrate", machine.ref, host, {"live": "true"})
        return await call.follow(MIGRATION_JOB, task, {AFFECTED_VM: machine.ref})

    return migrate


def _check_migratable_to(find_host: FindHost) -> Handler:
    async def check(call: Call, inputs: Inputs) -> MethodResult:
        """Tell whether a machine could be moved now, and if not, why."""
        reason = await _refusal(call, _machine(call, inputs), find_host(call, inputs))
        outputs = {} if reason is None else {"Reason": reason}
        return MethodResult(COMPLETED, {"IsMigratable": reason is None, **outputs})

    return check


async def _refusal(call: Call, machine: Machine, host: str) -> str | None:
    try:
        await call.xen("VM.assert_operation_valid", machine.ref, "pool_migrate")
        if await call.xen("VM.get_resident_on", machine.ref) != host:
            await call.xen("VM.assert_can_boot_here", machine.ref, host)
    except MethodError as error:
        return error.description
    return None


BY_NAME = {"DestinationHost": Parameter("string")}
BY_PATH = {"DestinationSystem": reference("CIM_System")}
OTHERS = {
    "MigrationSettingData": settings_of("CIM_VirtualSystemMigrationSettingData"),
    "NewSystemSettingData": settings_of(VSSD),
    "NewResourceSettingData": settings_of(RASD, array=True),
}
MIGRATABLE = {
    "IsMigratable": Parameter("boolean", is_input=False, is_output=True),
    "Reason": Parameter("string", is_input=False, is_output=True),
}


def _of_machine(
    handler: Handler, destination: Mapping[str, Parameter], outputs: Mapping[str, Parameter]
) -> MappedMethod:
    return method(handler, ComputerSystem=reference(SYSTEM), **destination, **OTHERS, **outputs)


METHODS: Mapping[str, MappedMethod] = {
    "MigrateVirtualSystemToHost": _of_machine(_migrate_to(_named_host), BY_NAME, {"Job": JOB}),
    "MigrateVirtualSystemToSystem": _of_machine(_migrate_to(_given_host), BY_PATH, {"Job": JOB}),
    "CheckVirtualSystemIsMigratableToHost": _of_machine(_check_migratable_to(_named_host), BY_NAME, MIGRATABLE),
    "CheckVirtualSystemIsMigratableToSystem": _of_machine(_check_migratable_to(_given_host), BY_PATH, MIGRATABLE),
}
