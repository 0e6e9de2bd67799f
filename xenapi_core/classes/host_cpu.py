"""A physical CPU of a host."""

from __future__ import annotations

from xenapi_core.datamodel import POOL_OPERATOR, READ_ONLY, RO, RW, Call, XenClass, field, message
from xenapi_core.datamodel.refs import CpuPoolRef, HostCpuRef, HostRef


class host_cpu(XenClass, role=POOL_OPERATOR):
    """A physical CPU of a host."""

    uuid: str = field(RO, doc="unique identifier of the object")
    host: HostRef = field(RO, doc="the host that the CPU is in")
    number: int = field(RO, doc="number of the CPU within the host, from 0")

    # What it is
    vendor: str = field(RO, doc="name of the maker, as CPUID gives it")
    modelname: str = field(RO, doc="name of the model, as CPUID gives it")
    family: int = field(RO, doc="CPUID family")
    model: int = field(RO, doc="CPUID model")
    stepping: str = field(RO, doc="CPUID stepping")
    speed: int = field(RO, doc="clock rate (MHz)")
    flags: str = field(RO, doc="names of the CPU's features, separated by spaces")
    features: str = field(RO, doc="words of the CPU's feature bits, in hexadecimal")

    # How it is used
    utilisation: float = field(RO, sampled=True, doc="share of the last second in which the CPU was busy (0 to 1)")
    cpu_pool: list[CpuPoolRef] = field(RO, doc="the CPU pools of Xen-API 1.0 that hold the CPU")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")

    @message(role=READ_ONLY)
    def get_unassigned_cpus(call: Call) -> list[HostCpuRef]:
        """Return the CPUs that are in no CPU pool (Xen-API 1.0)."""
        return [cpu.ref for cpu in call.store.durable.records("host_cpu") if not cpu["cpu_pool"]]
