"""A physical machine that runs VMs."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

from xenapi_core.classes import placement
from xenapi_core.classes.data_sources import HostDataSources
from xenapi_core.classes.evacuation import Evacuation
from xenapi_core.classes.host_management import HostManagement
from xenapi_core.classes.host_power import HostPower
from xenapi_core.classes.hosting import HOST_OPERATIONS, host_allowed_operations
from xenapi_core.classes.vm import update_guidances
from xenapi_core.datamodel import (
    NULL,
    POOL_OPERATOR,
    READ_ONLY,
    RO,
    RW,
    STATIC,
    VM_OPERATOR,
    Call,
    Datamodel,
    XenClass,
    field,
    message,
    reverse,
)
from xenapi_core.datamodel.refs import (
    BlobRef,
    CertificateRef,
    CpuPoolRef,
    FeatureRef,
    HostCpuRef,
    HostCrashdumpRef,
    HostMetricsRef,
    HostPatchRef,
    HostRef,
    PBDRef,
    PCIRef,
    PGPURef,
    PIFRef,
    PoolUpdateRef,
    PPCIRef,
    PSCSIHBARef,
    PSCSIRef,
    PUSBRef,
    SRRef,
    VMRef,
)


class host_display(StrEnum):
    """Whether a host's own console shows on a screen, now and after the next boot."""

    enabled = "enabled"
    disable_on_reboot = "disable_on_reboot"
    disabled = "disabled"
    enable_on_reboot = "enable_on_reboot"


class host_numa_affinity_policy(StrEnum):
    """How VMs are spread over NUMA nodes."""

    any = "any"
    best_effort = "best_effort"
    default_policy = "default_policy"


class latest_synced_updates_applied_state(StrEnum):
    """Whether a host has the updates that were last fetched."""

    yes = "yes"
    no = "no"
    unknown = "unknown"


class host(
    HostPower,
    HostManagement,
    Evacuation,
    HostDataSources,
    XenClass,
    role=POOL_OPERATOR,
    operations=HOST_OPERATIONS,
    removed=("apply_recommended_guidances", "license_apply", "reset_cpu_features", "set_cpu_features"),
):
    """A physical machine that runs VMs."""

    uuid: str = field(RO, doc="unique identifier of the object")
    name_label: str = field(RW, default="", doc="name for people")
    name_description: str = field(RW, default="", doc="notes for people")
    allowed_operations: list[host_allowed_operations] = field(RO, doc="operations that would be accepted now")
    current_operations: dict[str, host_allowed_operations] = field(RO, doc="operations under way: task to operation")
    enabled: bool = field(RO, default=True, doc="whether VMs may start on it")

    # How it is reached
    hostname: str = field(RW, default="", doc="name on the network")
    address: str = field(RW, default="", doc="address on the management network")
    external_auth_type: str = field(RO, doc="kind of the directory that knows its users")
    external_auth_service_name: str = field(RO, doc="name of that directory")
    external_auth_configuration: dict[str, str] = field(RO, doc="settings of that directory")
    certificates: list[CertificateRef] = field(RO, doc="its certificates")
    ssl_legacy: bool = field(STATIC, default=False, doc="whether it accepts outdated TLS")
    tls_verification_enabled: bool = field(RO, doc="whether it checks the certificates of others")
    https_only: bool = field(RO, doc="whether the API is served over TLS only")
    iscsi_iqn: str = field(STATIC, default="", doc="its name as an iSCSI initiator")
    multipathing: bool = field(STATIC, default=False, doc="whether it reaches storage over several paths")

    # Software
    API_version_major: int = field(RO, doc="major version of the Xen-API that is served")
    API_version_minor: int = field(RO, doc="minor version of it")
    API_version_vendor: str = field(RO, doc="who defined that version")
    API_version_vendor_implementation: dict[str, str] = field(RO, doc="further facts about the server")
    software_version: dict[str, str] = field(STATIC, default={}, doc="versions of the software on the host")
    capabilities: list[str] = field(STATIC, default=(), doc="kinds of domains that Xen runs here")
    sched_policy: str = field(RO, doc="scheduler of Xen")
    supported_bootloaders: list[str] = field(RO, doc="boot loaders that can be named in VM.PV_bootloader")
    virtual_hardware_platform_versions: list[int] = field(RO, default=[0], doc="virtual platforms that it offers")
    edition: str = field(RO, doc="edition of the product")
    editions: list[str] = field(RO, doc="editions that could be chosen")
    license_params: dict[str, str] = field(RO, doc="facts of the licence")
    license_server: dict[str, str] = field(
        RW, default={"address": "localhost", "port": "27000"}, doc="where licences come from"
    )
    features: list[FeatureRef] = field(RO, doc="experimental features that are installed")
    patches: list[HostPatchRef] = field(RO, doc="patches of old")
    updates: list[PoolUpdateRef] = field(RO, doc="updates that are applied")
    updates_requiring_reboot: list[PoolUpdateRef] = field(RO, doc="updates that wait for a reboot")
    last_software_update: datetime = field(RO, doc="when the software was last updated")
    last_update_hash: str = field(RO, doc="checksum of the last update")
    latest_synced_updates_applied: latest_synced_updates_applied_state = field(
        RO, default=latest_synced_updates_applied_state.unknown, doc="whether it is up to date with the fetched updates"
    )
    pending_guidances: list[update_guidances] = field(RO, doc="what must be done to make updates effective")
    pending_guidances_recommended: list[update_guidances] = field(
        RO, doc="what should be done to make updates effective"
    )
    pending_guidances_full: list[update_guidances] = field(
        RO, doc="what could be done to make updates wholly effective"
    )
    uefi_certificates: str = field(STATIC, default="", doc="certificates for the secure boot of guests")

    # CPUs and memory
    host_CPUs: list[HostCpuRef] = reverse("host_cpu", "host", doc="its physical CPUs")
    cpu_info: dict[str, str] = field(RO, doc="facts of the CPUs: cpu_count, socket_count, vendor, features and so on")
    cpu_configuration: dict[str, str] = field(RO, doc="further facts of the CPUs")
    guest_VCPUs_params: dict[str, str] = field(RW, default={}, doc="scheduling parameters of all its VMs")
    numa_affinity_policy: host_numa_affinity_policy = field(
        RO, default=host_numa_affinity_policy.default_policy, doc="how VMs are spread over NUMA nodes"
    )
    resident_cpu_pools: list[CpuPoolRef] = reverse("cpu_pool", "resident_on", doc="its CPU pools (Xen-API 1.0)")
    memory_overhead: int = field(RO, doc="memory that Xen itself takes (bytes)")
    metrics: HostMetricsRef = field(RO, doc="what is measured of it")

    # Hardware
    PIFs: list[PIFRef] = reverse("PIF", "host", doc="its physical NICs")
    PCIs: list[PCIRef] = reverse("PCI", "host", doc="its PCI devices")
    PGPUs: list[PGPURef] = field(RO, doc="its graphics cards")
    PUSBs: list[PUSBRef] = field(RO, doc="its USB devices")
    PPCIs: list[PPCIRef] = reverse("PPCI", "host", doc="its PCI devices (Xen-API 1.0)")
    PSCSIs: list[PSCSIRef] = reverse("PSCSI", "host", doc="its SCSI devices (Xen-API 1.0)")
    PSCSI_HBAs: list[PSCSIHBARef] = reverse("PSCSI_HBA", "host", doc="its SCSI host bus adapters (Xen-API 1.0)")
    bios_strings: dict[str, str] = field(RO, doc="what its BIOS tells")
    chipset_info: dict[str, str] = field(RO, doc="facts of the chip set, such as iommu")
    display: host_display = field(RW, default=host_display.enabled, doc="whether its own console shows on a screen")
    power_on_mode: str = field(RO, doc="how it can be switched on from afar")
    power_on_config: dict[str, str] = field(RO, doc="settings of that")

    # VMs
    resident_VMs: list[VMRef] = reverse("VM", "resident_on", doc="VMs that run on it")
    control_domain: VMRef = field(RO, doc="the domain that runs it")

    # Storage
    PBDs: list[PBDRef] = reverse("PBD", "host", doc="its attachments to storage")
    suspend_image_sr: SRRef = field(RW, default=NULL, doc="where VMs are suspended to")
    crash_dump_sr: SRRef = field(RW, default=NULL, doc="where crash dumps go")
    local_cache_sr: SRRef = field(STATIC, default=NULL, doc="where shared images are cached")
    crashdumps: list[HostCrashdumpRef] = reverse("host_crashdump", "host", doc="dumps of its own crashes")

    # Kept for the server's own use
    stays_disabled: bool = field(RO, internal=True, doc="whether it is not enabled when it boots")
    sched_gran: str = field(RO, internal=True, doc="what its scheduler keeps together")

    # High availability
    ha_statefiles: list[str] = field(RO, doc="state files in use")
    ha_network_peers: list[str] = field(RO, doc="hosts that it can reach")

    # For people and clients
    logging: dict[str, str] = field(RW, default={}, doc="where logs go")
    tags: list[str] = field(RW, default=(), role=VM_OPERATOR, doc="words that users have tagged the object with")
    blobs: dict[str, BlobRef] = field(RO, doc="binary data kept with the object, by name")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")

    # What the host answers

    @message(role=READ_ONLY)
    def list_methods(call: Call) -> list[str]:
        """Return the names of all messages that the server knows."""
        return call.service(Datamodel).methods()

    @message(role=READ_ONLY)
    def get_servertime(call: Call, host: HostRef) -> datetime:
        """Return the time on a host."""
        return datetime.now(UTC)

    @message(role=READ_ONLY)
    def get_server_localtime(call: Call, host: HostRef) -> datetime:
        """Return the time on a host's clock on the wall: its local time, written as if it were UTC."""
        return datetime.now().astimezone().replace(tzinfo=UTC)

    @message(role=POOL_OPERATOR, asynchronous=True)
    def dmesg(call: Call, host: HostRef) -> str:
        """Return the log of a host's hypervisor."""
        return str(call.hypervisor(host).log())

    @message(role=POOL_OPERATOR, asynchronous=True)
    def dmesg_clear(call: Call, host: HostRef) -> str:
        """Empty the log of a host's hypervisor, and return what was in it."""
        return str(call.hypervisor(host).clear_log())

    @message(role=READ_ONLY, asynchronous=True)
    def compute_free_memory(call: Call, host: HostRef) -> int:
        """Return the memory of a host that is free for further VMs (bytes)."""
        return placement.free(call.store, host)

    @message(role=READ_ONLY, asynchronous=True)
    def compute_memory_overhead(call: Call, host: HostRef) -> int:
        """Return the memory that Xen itself takes on a host (bytes)."""
        return int(call.record(host)["memory_overhead"])
