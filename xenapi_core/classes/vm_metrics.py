"""What is measured of a VM."""

from __future__ import annotations

from datetime import datetime

from xenapi_core.classes.lifecycle import domain_type
from xenapi_core.datamodel import RO, RW, VM_ADMIN, XenClass, field


class VM_metrics(XenClass, role=VM_ADMIN):
    """What is measured of a VM."""

    uuid: str = field(RO, doc="unique identifier of the object")

    # Memory and virtual CPUs
    memory_actual: int = field(RO, sampled=True, doc="memory that the domain holds (bytes); 0 without a domain")
    VCPUs_number: int = field(RO, doc="number of virtual CPUs of the domain; 0 without a domain")
    VCPUs_utilisation: dict[int, float] = field(
        RO, sampled=True, doc="per virtual CPU, share of the last second in which it ran (0 to 1)"
    )
    VCPUs_CPU: dict[int, int] = field(
        RO, sampled=True, doc="per virtual CPU, the physical CPU that it was last seen on"
    )
    VCPUs_params: dict[str, str] = field(RO, doc="scheduling parameters in force: weight, cap, cpumapN")
    VCPUs_flags: dict[int, list[str]] = field(
        RO, sampled=True, doc="per virtual CPU, which of online, blocked and running hold"
    )

    # The domain
    state: list[str] = field(RO, doc="which of running, blocked, paused, dying, crashed and shutdown hold")
    hvm: bool = field(RO, doc="whether the domain has a hardware virtual machine container")
    nested_virt: bool = field(RO, doc="whether the guest may use hardware virtualization itself")
    nomigrate: bool = field(RO, doc="whether the guest cannot be migrated while it runs")
    current_domain_type: domain_type = field(
        RO, default=domain_type.unspecified, doc="how the running domain was built"
    )

    # Times
    start_time: datetime = field(RO, doc="when the VM last started")
    install_time: datetime = field(RO, doc="when the VM was created")
    last_updated: datetime = field(RO, sampled=True, doc="when these figures were last brought up to date")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")
