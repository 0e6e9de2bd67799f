"""The method of Xen_MetricService: how a host or a virtual machine performed (DSP1053)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from cim_provider import MethodResult, Parameter, Value
from xen_providers.hosts import HOST_COMPUTER_SYSTEM
from xen_providers.mapping.declaration import MappedMethod
from xen_providers.methods.call import Call
from xen_providers.methods.inputs import Inputs, needed
from xen_providers.methods.outcomes import COMPLETED, MANAGEMENT, invalid
from xen_providers.methods.parameters import SYSTEM, method, reference
from xen_providers.virtual_systems import COMPUTER_SYSTEM

UPDATES = "/rrd_updates"
HOUR = 60
"""Minutes that are told if neither StartTime nor TimeDuration is given."""


def _moment(name: str, value: Value) -> datetime | None:
    if value is not None and not isinstance(value, datetime):
        raise invalid(name, "a moment is expected.")
    return value


async def _get_performance_metrics(call: Call, inputs: Inputs) -> MethodResult:
    """Return what the data sources of a system told since StartTime, or for the last TimeDuration minutes, as XML."""
    system = needed("System", inputs.element("System", COMPUTER_SYSTEM, HOST_COMPUTER_SYSTEM))
    start = _moment("StartTime", inputs.get("StartTime"))
    minutes = inputs.number("TimeDuration")
    if start is None:
        start = datetime.now(UTC) - timedelta(minutes=HOUR if minutes is None else minutes)
    step = inputs.number("ResolutionInterval")
    query = {"start": str(int(start.timestamp())), "cf": "AVERAGE"}
    if step:
        query["interval"] = str(step)
    if system.mapped is HOST_COMPUTER_SYSTEM:
        # No machine has this uuid: what is told is the host alone.
        query |= {"host": "true", "vm_uuid": system.record["uuid"]}
    else:
        query["vm_uuid"] = system.record["uuid"]
    told = await call.download(UPDATES, query)
    return MethodResult(COMPLETED, {"Metrics": told.decode("utf-8", "replace")})


METHODS: Mapping[str, MappedMethod] = {
    "GetPerformanceMetricsForSystem": method(
        _get_performance_metrics,
        MANAGEMENT,
        System=reference(SYSTEM),
        StartTime=Parameter("datetime"),
        EndTime=Parameter("datetime"),
        TimeDuration=Parameter("uint32"),
        ResolutionInterval=Parameter("uint32"),
        Metrics=Parameter("string", is_input=False, is_output=True),
    )
}
