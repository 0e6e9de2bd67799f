"""The hosts that are managed together. There is one pool."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from xenapi_core.classes.pool_management import PoolManagement
from xenapi_core.datamodel import NULL, POOL_OPERATOR, RO, RW, STATIC, VM_OPERATOR, XenClass, field, reverse
from xenapi_core.datamodel.refs import BlobRef, HostRef, RepositoryRef, SecretRef, SRRef, VDIRef


class pool_allowed_operations(StrEnum):
    """What may be done with a pool."""

    ha_enable = "ha_enable"
    ha_disable = "ha_disable"
    cluster_create = "cluster_create"
    designate_new_master = "designate_new_master"
    configure_repositories = "configure_repositories"
    sync_updates = "sync_updates"
    get_updates = "get_updates"
    apply_updates = "apply_updates"
    tls_verification_enable = "tls_verification_enable"
    cert_refresh = "cert_refresh"
    exchange_certificates_on_join = "exchange_certificates_on_join"
    exchange_ca_certificates_on_join = "exchange_ca_certificates_on_join"
    copy_primary_host_certs = "copy_primary_host_certs"
    eject = "eject"


class telemetry_frequency(StrEnum):
    """How often telemetry is sent."""

    daily = "daily"
    weekly = "weekly"
    monthly = "monthly"


TelemetryFrequency: TypeAlias = telemetry_frequency


class update_sync_frequency(StrEnum):
    """How often updates are fetched."""

    daily = "daily"
    weekly = "weekly"


UpdateSyncFrequency: TypeAlias = update_sync_frequency


class pool(PoolManagement, XenClass, role=POOL_OPERATOR, removed=("enable_ssl_legacy",)):
    """The hosts that are managed together. There is one pool."""

    uuid: str = field(RO, doc="unique identifier of the object")
    name_label: str = field(RW, default="", doc="name for people")
    name_description: str = field(RW, default="", doc="notes for people")
    master: HostRef = field(RO, doc="the host that answers for the pool")
    allowed_operations: list[pool_allowed_operations] = field(RO, doc="operations that would be accepted now")
    current_operations: dict[str, pool_allowed_operations] = field(RO, doc="operations under way: task to operation")

    # Storage
    default_SR: SRRef = field(RW, default=NULL, doc="where images are made unless told otherwise")
    suspend_image_SR: SRRef = field(RW, default=NULL, doc="where VMs are suspended to")
    crash_dump_SR: SRRef = field(RW, default=NULL, doc="where crash dumps go")
    metadata_VDIs: list[VDIRef] = reverse("VDI", "metadata_of_pool", doc="images that hold copies of the database")
    redo_log_enabled: bool = field(RO, doc="whether changes are also written to a shared image")
    redo_log_vdi: VDIRef = field(RO, doc="that image")

    # Hosts
    cpu_info: dict[str, str] = field(RO, doc="what all its hosts' CPUs have in common")
    restrictions: dict[str, str] = field(RO, doc="features that the licence withholds")
    coordinator_bias: bool = field(RW, default=True, doc="whether VMs rather start on other hosts than the master")
    migration_compression: bool = field(
        RW, default=False, doc="whether migrations are compressed unless told otherwise"
    )
    live_patching_disabled: bool = field(RW, default=False, doc="whether hosts take no patches while they run")
    igmp_snooping_enabled: bool = field(RO, doc="whether bridges snoop on IGMP")
    vswitch_controller: str = field(RO, doc="address of the controller of virtual switches")
    policy_no_vendor_device: bool = field(RW, default=False, doc="whether new VMs come without the vendor device")
    is_psr_pending: bool = field(RW, default=False, doc="whether the change of the pool secret is unfinished")

    # High availability
    ha_enabled: bool = field(RO, doc="whether it is on")
    ha_configuration: dict[str, str] = field(RO, doc="its settings")
    ha_statefiles: list[str] = field(RO, doc="its state files")
    ha_cluster_stack: str = field(RO, doc="the cluster stack that it uses")
    ha_host_failures_to_tolerate: int = field(RO, doc="number of host failures that it plans for")
    ha_plan_exists_for: int = field(RO, doc="number of host failures that it has a plan for")
    ha_allow_overcommit: bool = field(RW, default=False, doc="whether more may be asked than the plan can give")
    ha_overcommitted: bool = field(RO, doc="whether more is asked than the plan can give")

    # Security
    tls_verification_enabled: bool = field(RO, doc="whether hosts check each other's certificates")
    client_certificate_auth_enabled: bool = field(RO, doc="whether users may come with a certificate")
    client_certificate_auth_name: str = field(RO, doc="name that such a certificate must bear")
    uefi_certificates: str = field(STATIC, default="", doc="certificates for the secure boot of guests")
    custom_uefi_certificates: str = field(STATIC, default="", doc="those of the user's own")
    local_auth_max_threads: int = field(STATIC, default=8, doc="checks of local passwords at the same time")
    ext_auth_max_threads: int = field(STATIC, default=1, doc="checks with the directory at the same time")

    # Workload balancing
    wlb_enabled: bool = field(RW, default=False, doc="whether it is on")
    wlb_url: str = field(RO, doc="where its server is")
    wlb_username: str = field(RO, doc="user name there")
    wlb_verify_cert: bool = field(RW, default=False, doc="whether the server's certificate is checked")

    # Updates
    repositories: list[RepositoryRef] = field(RO, doc="where updates come from")
    repository_proxy_url: str = field(RO, doc="proxy on the way there")
    repository_proxy_username: str = field(RO, doc="user name at the proxy")
    repository_proxy_password: SecretRef = field(RO, doc="password at the proxy")
    last_update_sync: datetime = field(RO, doc="when updates were last fetched")
    update_sync_enabled: bool = field(RO, doc="whether updates are fetched regularly")
    update_sync_frequency: UpdateSyncFrequency = field(RO, default=update_sync_frequency.weekly, doc="how often")
    update_sync_day: int = field(RO, doc="on which day of the week, from 0 (Sunday)")
    telemetry_uuid: SecretRef = field(RO, doc="name under which telemetry is sent")
    telemetry_frequency: TelemetryFrequency = field(
        RO, default=telemetry_frequency.weekly, doc="how often telemetry is sent"
    )
    telemetry_next_collection: datetime = field(RO, doc="when telemetry is next collected")

    resource_labels: dict[str, str] = field(RO, internal=True, doc="labels of resources, for XSPolicy")

    # For people and clients
    guest_agent_config: dict[str, str] = field(RO, doc="settings for the agents in guests")
    gui_config: dict[str, str] = field(RW, default={}, role=VM_OPERATOR, doc="settings of graphical clients")
    health_check_config: dict[str, str] = field(RW, default={}, doc="settings of the health check")
    tags: list[str] = field(RW, default=(), role=VM_OPERATOR, doc="words that users have tagged the object with")
    blobs: dict[str, BlobRef] = field(RO, doc="binary data kept with the object, by name")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")
