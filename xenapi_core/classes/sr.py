"""A storage repository: a place where virtual disk images are kept."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4
from xml.etree.ElementTree import Element, SubElement, tostring

from xenapi_core.classes import blob, drivers
from xenapi_core.classes.data_sources import SRDataSources
from xenapi_core.classes.pbd import check_device_free
from xenapi_core.classes.repositories import SR_OPERATIONS, storage_operations
from xenapi_core.classes.vdi import allocate, discard, remove
from xenapi_core.datamodel import (
    POOL_OPERATOR,
    READ_ONLY,
    RO,
    RW,
    STATIC,
    VM_OPERATOR,
    VM_POWER_ADMIN,
    Call,
    Change,
    Objects,
    Record,
    XenApiError,
    XenClass,
    field,
    message,
    reverse,
)
from xenapi_core.datamodel.refs import BlobRef, DRTaskRef, HostRef, PBDRef, SRRef, VDIRef
from xenapi_core.hypervisors.interface import Hypervisor

REFUSED = ("OTHER_OPERATION_IN_PROGRESS", "SR_OPERATION_NOT_SUPPORTED", "SR_HAS_NO_PBDS", "SR_NOT_ATTACHED")
"""What any operation on a repository may be refused with."""

MAKING, SCANNING = 2.0, 0.5
"""How long making a repository, and looking at one, takes (s)."""

STEPS = 10
"""In which making a repository tells its progress."""

DATABASE = 256 << 20
"""Size of the image that a pool's database is copied to (bytes)."""


class SR(SRDataSources, XenClass, role=POOL_OPERATOR, operations=SR_OPERATIONS):
    """A storage repository: a place where virtual disk images are kept."""

    uuid: str = field(RO, doc="unique identifier of the object")
    name_label: str = field(STATIC, default="", doc="name for people")
    name_description: str = field(STATIC, default="", doc="notes for people")
    allowed_operations: list[storage_operations] = field(RO, doc="operations that would be accepted now")
    current_operations: dict[str, storage_operations] = field(RO, doc="operations under way: task to operation")

    # What is in it, who reaches it
    VDIs: list[VDIRef] = reverse("VDI", "SR", doc="disk images in the repository")
    PBDs: list[PBDRef] = reverse("PBD", "SR", doc="hosts that are attached to it")

    # Space
    virtual_allocation: int = field(RO, doc="sum of the virtual sizes of the images (bytes)")
    physical_utilisation: int = field(RO, doc="space in use (bytes)")
    physical_size: int = field(STATIC, default=0, doc="space altogether (bytes)")

    # Kind
    type: str = field(STATIC, doc="kind of storage: nfs, ext, lvm, iso and so on")
    content_type: str = field(STATIC, default="", doc="what the images are: user, or iso for CD images")
    shared: bool = field(RO, doc="whether every host of the pool may attach to it")
    sm_config: dict[str, str] = field(RW, default={}, doc="data of the storage back end")
    local_cache_enabled: bool = field(RO, doc="whether hosts cache shared images in it")
    clustered: bool = field(RO, doc="whether it uses clustered storage")
    is_tools_sr: bool = field(RO, doc="whether it holds the guest tools")
    introduced_by: DRTaskRef = field(RO, doc="the disaster recovery that brought it in")

    # For people and clients
    tags: list[str] = field(RW, default=(), role=VM_OPERATOR, doc="words that users have tagged the object with")
    blobs: dict[str, BlobRef] = field(RO, doc="binary data kept with the object, by name")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")

    # To make and to remove

    @message(
        role=POOL_OPERATOR,
        asynchronous=True,
        errors=("SR_UNKNOWN_DRIVER", "SR_BACKEND_FAILURE", "SR_DEVICE_IN_USE", "VALUE_NOT_SUPPORTED", "INVALID_VALUE"),
    )
    async def create(
        call: Call,
        host: HostRef,
        device_config: dict[str, str],
        physical_size: int,
        name_label: str,
        name_description: str,
        type: str,
        content_type: str,
        shared: bool,
        sm_config: dict[str, str] = {},  # noqa: B006 - a default on the wire, written by nobody
    ) -> SRRef:
        """Make a repository, attach a host to it, or all hosts if it is shared, and return its reference."""
        kind = drivers.driver(type)
        values = {
            "name_label": name_label,
            "name_description": name_description,
            "content_type": content_type or ("iso" if kind.name == "iso" else "user"),
            "physical_size": physical_size or kind.size,
            "sm_config": sm_config,
        }
        return await _create(call, kind, host, device_config, values, shared=shared)

    @message(
        role=POOL_OPERATOR,
        asynchronous=True,
        errors=("SR_UNKNOWN_DRIVER", "SR_BACKEND_FAILURE", "SR_DEVICE_IN_USE", "INVALID_VALUE"),
    )
    async def make(
        call: Call,
        host: HostRef,
        device_config: dict[str, str],
        physical_size: int,
        name_label: str,
        name_description: str,
        type: str,
        content_type: str,
        sm_config: dict[str, str] = {},  # noqa: B006
    ) -> str:
        """Make a repository without telling the pool of it, and return its uuid; ``introduce`` tells of it."""
        kind = drivers.driver(type)
        await _prepare(call, kind, host, device_config, physical_size)
        return str(uuid4())

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("SR_UNKNOWN_DRIVER", "SR_UUID_EXISTS", "INVALID_VALUE"))
    def introduce(
        call: Call,
        uuid: str,
        name_label: str,
        name_description: str,
        type: str,
        content_type: str,
        shared: bool,
        sm_config: dict[str, str] = {},  # noqa: B006
    ) -> SRRef:
        """Tell of a repository that is there already, and return its reference; no host is attached to it yet."""
        kind = drivers.driver(type)
        with call.store.write() as change:
            if change.by_uuid("SR", uuid) is not None:
                raise XenApiError("SR_UUID_EXISTS", uuid)
            values = {
                "uuid": _uuid(uuid),
                "name_label": name_label,
                "name_description": name_description,
                "type": kind.name,
                "content_type": content_type,
                "shared": shared,
                "physical_size": kind.size,
                "sm_config": sm_config,
            }
            return change.create("SR", values)

    @message(
        role=POOL_OPERATOR, asynchronous=True, errors=(*REFUSED, "SR_HAS_PBD", "SR_NOT_EMPTY", "SR_INDESTRUCTIBLE")
    )
    def destroy(call: Call, sr: SRRef) -> None:
        """Destroy an empty repository that no host is attached to, and how hosts reach it."""
        _remove(call, sr, "destroy")

    @message(role=POOL_OPERATOR, asynchronous=True, errors=(*REFUSED, "SR_HAS_PBD", "SR_INDESTRUCTIBLE"))
    def forget(call: Call, sr: SRRef) -> None:
        """Forget a repository that no host is attached to, and its images; what is in it stays."""
        _remove(call, sr, "forget")

    # To look at

    @message(role=READ_ONLY)
    def get_supported_types(call: Call) -> list[str]:
        """Return the kinds of storage that there can be."""
        return list(drivers.DRIVERS)

    @message(role=VM_POWER_ADMIN, asynchronous=True, errors=REFUSED)
    async def scan(call: Call, sr: SRRef) -> None:
        """Look at what is in a repository, and count the space that its images take."""
        async with call.operation(sr, "scan"):
            await _master(call).wait(SCANNING)
            with call.store.write() as change:
                _recount(change, sr)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=REFUSED)
    def update(call: Call, sr: SRRef) -> None:
        """Read again what the back end knows of a repository."""
        with call.store.write() as change:
            SR_OPERATIONS.check(change, change.record(sr, "SR"), "update")
            _recount(change, sr)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("SR_UNKNOWN_DRIVER", "SR_BACKEND_FAILURE"))
    async def probe(
        call: Call,
        host: HostRef,
        device_config: dict[str, str],
        type: str = "",
        sm_config: dict[str, str] = {},  # noqa: B006
    ) -> str:
        """Return, as XML, the repositories that a configuration reaches."""
        kind = drivers.driver(type)
        kind.check(device_config)
        await _master(call).wait(SCANNING)
        root = Element("SRlist")
        for repository in _reached(call.store, kind, device_config):
            SubElement(SubElement(root, "SR"), "UUID").text = repository["uuid"]
        return tostring(root, encoding="unicode")

    # Settings

    @message(role=POOL_OPERATOR, asynchronous=True)
    def set_name_label(call: Call, sr: SRRef, value: str) -> None:
        """Set the name for people."""
        _set(call, sr, name_label=value)

    @message(role=POOL_OPERATOR, asynchronous=True)
    def set_name_description(call: Call, sr: SRRef, value: str) -> None:
        """Set the notes for people."""
        _set(call, sr, name_description=value)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("OPERATION_NOT_ALLOWED", "VALUE_NOT_SUPPORTED"))
    def set_shared(call: Call, sr: SRRef, value: bool) -> None:
        """Set whether several hosts may attach to a repository."""
        record = call.record(sr, "SR")
        if value:
            _check_sharable(drivers.driver(record["type"]))
        elif len(record["PBDs"]) > 1:
            raise XenApiError("OPERATION_NOT_ALLOWED", f"several hosts know how to reach SR {sr}")
        _set(call, sr, shared=value)

    @message(role=POOL_OPERATOR, errors=("INVALID_VALUE",))
    def set_physical_size(call: Call, self: SRRef, value: int) -> None:
        """Set the space of a repository altogether (bytes)."""
        if value < call.record(self, "SR")["physical_utilisation"]:
            raise XenApiError("INVALID_VALUE", "physical_size", value)
        _set(call, self, physical_size=value)

    @message(role=POOL_OPERATOR)
    def create_new_blob(call: Call, sr: SRRef, name: str, mime_type: str, public: bool = False) -> BlobRef:
        """Make an empty blob that is kept with a repository under a name."""
        with call.store.write() as change:
            change.record(sr, "SR")
            return blob.attach(change, sr, name, mime_type, public=public)

    # High availability and disaster recovery

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("SR_NOT_SHARABLE", "SR_HAS_NO_PBDS", "SR_NOT_ATTACHED"))
    def assert_can_host_ha_statefile(call: Call, sr: SRRef) -> None:
        """Raise the error that tells why a repository cannot hold the state file of high availability, if it cannot."""
        _check_everywhere(call.store, call.record(sr, "SR"))

    @message(role=POOL_OPERATOR, errors=("SR_NOT_SHARABLE", "SR_HAS_NO_PBDS", "SR_NOT_ATTACHED"))
    def assert_supports_database_replication(call: Call, sr: SRRef) -> None:
        """Raise the error that tells why the pool's database cannot be copied to a repository, if it cannot."""
        _check_everywhere(call.store, call.record(sr, "SR"))

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("SR_NOT_SHARABLE", "SR_FULL", *REFUSED))
    def enable_database_replication(call: Call, sr: SRRef) -> None:
        """Make the image to which the pool's database is copied."""
        with call.store.write() as change:
            repository = change.record(sr, "SR")
            _check_everywhere(change, repository)
            SR_OPERATIONS.check(change, repository, "vdi_create")
            if not _databases(change, repository):
                pool = next(iter(change.records("pool"))).ref
                allocate(
                    change,
                    sr,
                    DATABASE,
                    name_label="Metadata for DR",
                    type="metadata",
                    metadata_of_pool=pool,
                    metadata_latest=True,
                )

    @message(role=POOL_OPERATOR, asynchronous=True)
    def disable_database_replication(call: Call, sr: SRRef) -> None:
        """Remove the image to which the pool's database is copied, if there is one."""
        with call.store.write() as change:
            for vdi in _databases(change, change.record(sr, "SR")):
                discard(change, vdi)


async def _prepare(call: Call, kind: drivers.Driver, host: str, config: dict[str, str], size: int) -> None:
    """Do what making a repository takes on a host; raise the error that tells why it cannot be made, if it cannot."""
    call.record(host, "host")
    if size < 0:
        raise XenApiError("INVALID_VALUE", "physical_size", size)
    kind.check(config)
    check_device_free(call.store, kind, config, host)
    hypervisor: Hypervisor = call.hypervisor(host)
    for step in range(STEPS):
        await hypervisor.wait(MAKING / STEPS)
        call.task.progress((step + 1) / (STEPS + 1))


async def _create(
    call: Call, kind: drivers.Driver, host: str, config: dict[str, str], values: dict[str, Any], *, shared: bool
) -> str:
    if shared:
        _check_sharable(kind)
    await _prepare(call, kind, host, config, values["physical_size"])
    with call.store.write() as change:
        check_device_free(change, kind, config, host)
        made = change.create("SR", {**values, "type": kind.name, "shared": shared})
        for each in [record.ref for record in change.records("host")] if shared else [host]:
            change.create("PBD", {"host": each, "SR": made, "device_config": config, "currently_attached": True})
    return made


def _check_sharable(kind: drivers.Driver) -> None:
    if not kind.shared:
        raise XenApiError("VALUE_NOT_SUPPORTED", "shared", "true", f"storage of the type {kind.name} is in one host")


def _remove(call: Call, sr: str, operation: str) -> None:
    with call.store.write() as change:
        repository = change.record(sr, "SR")
        SR_OPERATIONS.check(change, repository, operation)
        if repository["other_config"].get("indestructible") == "true":
            raise XenApiError("SR_INDESTRUCTIBLE", sr)
        for vdi in repository["VDIs"]:
            remove(change, vdi)
        for pbd in repository["PBDs"]:
            change.destroy(pbd)
        change.destroy(sr)


def _recount(change: Change, sr: str) -> None:
    """Count anew the space that the images of a repository take."""
    images = [change.record(vdi) for vdi in change.record(sr, "SR")["VDIs"]]
    change.update(
        sr,
        virtual_allocation=sum(image["virtual_size"] for image in images),
        physical_utilisation=sum(image["physical_utilisation"] for image in images),
    )


def _reached(objects: Objects, kind: drivers.Driver, config: dict[str, str]) -> list[Record]:
    """Return the repositories of a kind that a configuration reaches."""
    return [
        sr
        for sr in objects.records("SR")
        if sr["type"] == kind.name
        and any(kind.matches(objects.record(pbd)["device_config"], config) for pbd in sr["PBDs"])
    ]


def _check_everywhere(objects: Objects, sr: Record) -> None:
    """Raise the error that tells why not all hosts reach a repository and can write to it, if not."""
    attached = {pbd["host"] for pbd in map(objects.record, sr["PBDs"]) if pbd["currently_attached"]}
    SR_OPERATIONS.check(objects, sr, "vdi_create")
    for host in objects.records("host"):
        if not sr["shared"] or host.ref not in attached:
            raise XenApiError("SR_NOT_SHARABLE", sr.ref, host.ref)


def _databases(objects: Objects, sr: Record) -> list[str]:
    return [vdi for vdi in sr["VDIs"] if objects.record(vdi)["type"] == "metadata"]


def _set(call: Call, sr: str, **fields: Any) -> None:
    with call.store.write() as change:
        change.update(sr, **fields)


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise XenApiError("INVALID_VALUE", "uuid", text) from None


def _master(call: Call) -> Hypervisor:
    hypervisor: Hypervisor = call.hypervisor(next(iter(call.records("pool")))["master"])
    return hypervisor
