"""The error catalogue: every code once, with the names of its parameters and a sentence for people.

The sentence may name parameters in braces.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ErrorCode:
    """An error of the API: what its parameters are, and what it means."""

    parameters: tuple[str, ...]
    sentence: str


ERRORS: dict[str, ErrorCode] = {
    "BOOTLOADER_FAILED": ErrorCode(("vm", "msg"), "The VM {vm} could not boot ({msg})."),
    "BRIDGE_NAME_EXISTS": ErrorCode(("bridge",), "There is a network with the bridge {bridge} already."),
    "CANNOT_ADD_TUNNEL_TO_BOND_SLAVE": ErrorCode(
        ("PIF",), "The NIC {PIF} is a member of a bond: no tunnel can be made on it."
    ),
    "CANNOT_ADD_VLAN_TO_BOND_SLAVE": ErrorCode(
        ("PIF",), "The NIC {PIF} is a member of a bond: no VLAN can be made on it."
    ),
    "CANNOT_CHANGE_PIF_PROPERTIES": ErrorCode(
        ("PIF",), "The properties of the NIC {PIF} follow from another NIC or bond."
    ),
    "CANNOT_DESTROY_SYSTEM_NETWORK": ErrorCode(
        ("network",), "The network {network} belongs to the system: it cannot be destroyed."
    ),
    "CANNOT_EVACUATE_HOST": ErrorCode(("errors",), "The host cannot be evacuated: {errors}."),
    "CANNOT_PLUG_BOND_SLAVE": ErrorCode(("PIF",), "The NIC {PIF} is a member of a bond: plug the bond."),
    "CANNOT_PLUG_VIF": ErrorCode(("VIF",), "The virtual NIC {VIF} cannot be plugged in now."),
    "CANNOT_RESET_CONTROL_DOMAIN": ErrorCode(
        ("vm",), "The control domain {vm} runs its host: its power state cannot be reset."
    ),
    "DEBUG_FAIL": ErrorCode(("session",), "This call failed because it was asked to."),
    "DEFAULT_SR_NOT_FOUND": ErrorCode(("sr",), "The pool's default storage {sr} does not exist."),
    "DEVICE_ALREADY_ATTACHED": ErrorCode(("device",), "The device {device} is attached already."),
    "DEVICE_ALREADY_DETACHED": ErrorCode(("device",), "The device {device} is not attached."),
    "DEVICE_ALREADY_EXISTS": ErrorCode(("device",), "There is a device {device} already."),
    "DEVICE_DETACH_REJECTED": ErrorCode(
        ("type", "ref", "msg"), "The guest will not let go of the {type} {ref}: {msg}."
    ),
    "DISK_VBD_MUST_BE_READWRITE_FOR_HVM": ErrorCode(
        ("vbd",), "The disk {vbd} of a fully virtualized guest has to be writable."
    ),
    "DUPLICATE_PIF_DEVICE_NAME": ErrorCode(("device",), "The host has a NIC with the name {device} already."),
    "EVENTS_LOST": ErrorCode((), "Some events have been lost, because the client read them too slowly."),
    "EVENT_FROM_TOKEN_PARSE_FAILURE": ErrorCode(("token",), "The token {token} is not one that event.from gave."),
    "EVENT_SUBSCRIPTION_PARSE_FAILURE": ErrorCode(
        ("subscription",), "The subscription {subscription} is neither *, nor a class, nor a class and a reference."
    ),
    "GPU_GROUP_CONTAINS_NO_PGPUS": ErrorCode(("gpu_group",), "The GPU group {gpu_group} contains no GPU."),
    "GPU_GROUP_CONTAINS_PGPU": ErrorCode(("pgpus",), "The GPU group still contains the GPUs {pgpus}."),
    "GPU_GROUP_CONTAINS_VGPU": ErrorCode(("vgpus",), "The GPU group still contains the virtual GPUs {vgpus}."),
    "HANDLE_INVALID": ErrorCode(("class", "handle"), "There is no {class} with the reference {handle}."),
    "HA_CONSTRAINT_VIOLATION_NETWORK_NOT_SHARED": ErrorCode(("network",), "The network {network} is not on all hosts."),
    "HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED": ErrorCode(("SR",), "The storage {SR} is not shared by all hosts."),
    "HA_HOST_CANNOT_ACCESS_STATEFILE": ErrorCode((), "No shared storage can hold the state file of high availability."),
    "HA_IS_ENABLED": ErrorCode((), "High availability is on: turn it off first."),
    "HA_NOT_ENABLED": ErrorCode((), "High availability is not on."),
    "HA_NO_PLAN": ErrorCode((), "No plan can keep all protected VMs running if so many hosts fail."),
    "HOST_CANNOT_ATTACH_NETWORK": ErrorCode(
        ("host", "network"), "The host {host} cannot be joined to the network {network}."
    ),
    "HOST_CANNOT_DESTROY_SELF": ErrorCode(("host",), "The host {host} is the pool's master: it cannot be removed."),
    "HOST_DISABLED": ErrorCode(("host",), "The host {host} is disabled: no VM may start on it."),
    "HOST_HAS_RESIDENT_VMS": ErrorCode(("host",), "VMs run on the host {host}."),
    "HOST_IS_LIVE": ErrorCode(("host",), "The host {host} is running."),
    "HOST_NAME_INVALID": ErrorCode(("reason",), "This cannot be the name of a host: {reason}."),
    "HOST_NOT_DISABLED": ErrorCode((), "The host has to be disabled first."),
    "HOST_NOT_ENOUGH_FREE_MEMORY": ErrorCode(
        ("needed", "available"), "The host has too little free memory: {needed} bytes are needed, {available} are free."
    ),
    "HOST_NOT_LIVE": ErrorCode((), "The host does not answer."),
    "HOST_POWER_ON_MODE_DISABLED": ErrorCode((), "The host has no way of being switched on from afar."),
    "INSUFFICIENT_CPUS": ErrorCode(
        ("needed", "available"), "There are too few CPUs: {needed} are needed, {available} are free."
    ),
    "INTERFACE_HAS_NO_IP": ErrorCode(("interface",), "The NIC {interface} has no IP address."),
    "INTERNAL_ERROR": ErrorCode(("message",), "The server failed to do this: {message}."),
    "INVALID_BASE_URL": ErrorCode(("url",), "{url} is no address of a repository: http or https."),
    "INVALID_CIDR_ADDRESS_SPECIFIED": ErrorCode(
        ("parameter",), "The parameter {parameter} is no IP address with the length of a prefix."
    ),
    "INVALID_CPU": ErrorCode(("message",), "The CPU cannot be used: {message}."),
    "INVALID_EDITION": ErrorCode(("edition",), "There is no edition {edition}."),
    "INVALID_IP_ADDRESS_SPECIFIED": ErrorCode(("parameter",), "The parameter {parameter} is no IP address."),
    "INVALID_VALUE": ErrorCode(("field", "value"), "The value {value} is not valid for {field}."),
    "IS_TUNNEL_ACCESS_PIF": ErrorCode(("PIF",), "The NIC {PIF} stands for a tunnel: nothing can be made on it."),
    "JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS": ErrorCode(
        (), "A host that is the master of others cannot join another pool."
    ),
    "JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS": ErrorCode(
        (), "A host with shared storage of its own cannot join another pool."
    ),
    "JOINING_HOST_CANNOT_HAVE_RUNNING_OR_SUSPENDED_VMS": ErrorCode(
        (), "A host with running or suspended VMs cannot join another pool."
    ),
    "LAST_CPU_NOT_REMOVEABLE": ErrorCode(("message",), "The last CPU cannot be taken away: {message}."),
    "LICENSE_PROCESSING_ERROR": ErrorCode((), "The licence cannot be read."),
    "LOCATION_NOT_UNIQUE": ErrorCode(("SR", "location"), "The storage {SR} has an image at {location} already."),
    "MAC_DOES_NOT_EXIST": ErrorCode(("MAC",), "The host has no NIC with the address {MAC}."),
    "MAC_INVALID": ErrorCode(("MAC",), "{MAC} is no Ethernet address of a NIC."),
    "MAC_STILL_EXISTS": ErrorCode(("MAC",), "The NIC with the address {MAC} is still in the host."),
    "MAP_DUPLICATE_KEY": ErrorCode(
        ("type", "param_name", "uuid", "key"), "The map {param_name} of the {type} already has the key {key}."
    ),
    "MEMORY_CONSTRAINT_VIOLATION": ErrorCode(
        ("constraint",), "The memory limits are not in order; this has to hold: {constraint}."
    ),
    "MESSAGE_METHOD_UNKNOWN": ErrorCode(("method",), "There is no message {method}."),
    "MESSAGE_PARAMETER_COUNT_MISMATCH": ErrorCode(
        ("method", "expected", "received"),
        "The message {method} takes {expected} parameters, {received} were given.",
    ),
    "MESSAGE_REMOVED": ErrorCode((), "This message existed in earlier versions and has been removed."),
    "NETWORK_ALREADY_CONNECTED": ErrorCode(
        ("network", "PIF"), "The network {network} is already joined to the physical NIC {PIF}."
    ),
    "NETWORK_CONTAINS_PIF": ErrorCode(("pifs",), "NICs of hosts are joined to the network: {pifs}."),
    "NETWORK_CONTAINS_VIF": ErrorCode(("vifs",), "Virtual NICs are joined to the network: {vifs}."),
    "NETWORK_INCOMPATIBLE_PURPOSES": ErrorCode(
        ("new_purpose", "conflicting_purpose"),
        "A network cannot have the purpose {new_purpose} beside {conflicting_purpose}.",
    ),
    "NETWORK_INCOMPATIBLE_WITH_BOND": ErrorCode(("network",), "The network {network} cannot be that of a bond."),
    "NETWORK_INCOMPATIBLE_WITH_TUNNEL": ErrorCode(("network",), "The network {network} cannot be that of a tunnel."),
    "NETWORK_UNMANAGED": ErrorCode(("network",), "The network {network} is not managed by the server."),
    "NO_HOSTS_AVAILABLE": ErrorCode((), "No host can run this VM now."),
    "OPERATION_BLOCKED": ErrorCode(("ref", "reason"), "A user has blocked this operation on {ref}: {reason}."),
    "OPERATION_NOT_ALLOWED": ErrorCode(("reason",), "This is not allowed: {reason}."),
    "OPERATION_PARTIALLY_FAILED": ErrorCode(
        ("operation",), "The operation {operation} failed for some of the objects."
    ),
    "OTHER_OPERATION_IN_PROGRESS": ErrorCode(
        ("class", "object", "operation_type", "operation_ref"),
        "The {class} {object} is busy with the operation {operation_type}.",
    ),
    "PBD_EXISTS": ErrorCode(
        ("sr", "host", "pbd"), "The host {host} has the attachment {pbd} to the storage {sr} already."
    ),
    "PERMISSION_DENIED": ErrorCode(("message",), "Not permitted: {message}."),
    "PGPU_IN_USE_BY_VM": ErrorCode(("VMs",), "The GPU is in use by the VMs {VMs}."),
    "PGPU_NOT_COMPATIBLE_WITH_GPU_GROUP": ErrorCode(
        ("type", "group_types"), "A GPU of the type {type} does not fit a group of {group_types}."
    ),
    "PIF_ALLOWS_UNPLUG": ErrorCode(("PIF",), "The NIC {PIF} may be unplugged."),
    "PIF_ALREADY_BONDED": ErrorCode(("PIF",), "The NIC {PIF} is a member of a bond already."),
    "PIF_BOND_MORE_THAN_ONE_IP": ErrorCode((), "Only one member of a bond may have an IP address."),
    "PIF_BOND_NEEDS_MORE_MEMBERS": ErrorCode((), "A bond needs at least two members."),
    "PIF_CANNOT_BOND_CROSS_HOST": ErrorCode((), "All members of a bond have to be in one host."),
    "PIF_DEVICE_NOT_FOUND": ErrorCode((), "There is no such NIC."),
    "PIF_DOES_NOT_ALLOW_UNPLUG": ErrorCode(("PIF",), "The NIC {PIF} must stay up."),
    "PIF_HAS_NO_NETWORK_CONFIGURATION": ErrorCode(("PIF",), "The NIC {PIF} has no IPv4 address configured."),
    "PIF_HAS_NO_V6_NETWORK_CONFIGURATION": ErrorCode(("PIF",), "The NIC {PIF} has no IPv6 address configured."),
    "PIF_INCOMPATIBLE_PRIMARY_ADDRESS_TYPE": ErrorCode(
        ("PIF",), "The NIC {PIF} serves the other family of IP addresses first."
    ),
    "PIF_IS_MANAGEMENT_INTERFACE": ErrorCode(("PIF",), "The NIC {PIF} is the one over which its host is managed."),
    "PIF_IS_NOT_PHYSICAL": ErrorCode(("PIF",), "The NIC {PIF} is not physical."),
    "PIF_IS_NOT_SRIOV_CAPABLE": ErrorCode(("PIF",), "The NIC {PIF} cannot be shared by SR-IOV."),
    "PIF_IS_PHYSICAL": ErrorCode(("PIF",), "The NIC {PIF} is physical: it cannot be destroyed."),
    "PIF_IS_VLAN": ErrorCode(("PIF",), "The NIC {PIF} is a VLAN."),
    "PIF_NOT_PRESENT": ErrorCode(("host", "network"), "The host {host} has no NIC on the network {network}."),
    "PIF_TUNNEL_STILL_EXISTS": ErrorCode(("PIF",), "There are tunnels on the NIC {PIF}."),
    "PIF_UNMANAGED": ErrorCode(("PIF",), "The NIC {PIF} is not managed by the server."),
    "PIF_VLAN_EXISTS": ErrorCode(("PIF",), "The NIC {PIF} has this VLAN already."),
    "PIF_VLAN_STILL_EXISTS": ErrorCode(("PIF",), "There are VLANs on the NIC {PIF}."),
    "POOL_BAD_STATE": ErrorCode(("state",), "The CPU pool is in the wrong state: {state}."),
    "PROVISION_ONLY_ALLOWED_ON_TEMPLATE": ErrorCode((), "Only a template can be provisioned."),
    "PVS_CACHE_STORAGE_ALREADY_PRESENT": ErrorCode(
        ("site", "host"), "The host {host} has a cache for the site {site} already."
    ),
    "PVS_PROXY_ALREADY_PRESENT": ErrorCode(("proxies",), "The virtual NIC is served by the proxies {proxies} already."),
    "PVS_SERVER_ADDRESS_IN_USE": ErrorCode(("address",), "Another server has the address {address} already."),
    "PVS_SITE_CONTAINS_RUNNING_PROXIES": ErrorCode(("proxies",), "The proxies {proxies} of the site are at work."),
    "PVS_SITE_CONTAINS_SERVERS": ErrorCode(("servers",), "The site still has the servers {servers}."),
    "RBAC_PERMISSION_DENIED": ErrorCode(
        ("permission", "message"), "Your role does not include the permission {permission}: {message}."
    ),
    "REPOSITORY_ALREADY_EXISTS": ErrorCode(("ref",), "The repository {ref} is known already."),
    "REPOSITORY_IS_IN_USE": ErrorCode((), "The pool uses the repository."),
    "REQUIRED_PIF_IS_UNPLUGGED": ErrorCode(("PIF",), "The NIC {PIF}, which is needed, is unplugged."),
    "REVERT_ONLY_ALLOWED_ON_SNAPSHOT": ErrorCode((), "Only a snapshot can be reverted to."),
    "ROLE_ALREADY_EXISTS": ErrorCode((), "The subject has this role already."),
    "ROLE_NOT_FOUND": ErrorCode((), "There is no such role, or the subject does not have it."),
    "SECURITY_ERROR": ErrorCode(("xserr", "message"), "The access policy forbids this: {message} (error {xserr})."),
    "SESSION_AUTHENTICATION_FAILED": ErrorCode(("user", "message"), "The user name or the password is wrong."),
    "SESSION_INVALID": ErrorCode(("handle",), "The session is not valid: it has ended, or never was."),
    "SESSION_NOT_REGISTERED": ErrorCode(("handle",), "This session is not registered to receive events."),
    "SR_BACKEND_FAILURE": ErrorCode(
        ("status", "stdout", "stderr"), "The storage back end failed with the error {status}: {stderr}."
    ),
    "SR_DEVICE_IN_USE": ErrorCode((), "The device is used by other storage."),
    "SR_FULL": ErrorCode(
        ("requested", "maximum"), "The storage is full: {requested} bytes are needed, {maximum} are free."
    ),
    "SR_HAS_NO_PBDS": ErrorCode(("sr",), "No host knows how to attach the storage {sr}."),
    "SR_HAS_PBD": ErrorCode(("sr",), "The storage {sr} is still attached to hosts."),
    "SR_INDESTRUCTIBLE": ErrorCode(("sr",), "The storage {sr} is marked as one that must not be destroyed."),
    "SR_NOT_ATTACHED": ErrorCode(("sr",), "The storage {sr} is not attached to any host."),
    "SR_NOT_EMPTY": ErrorCode((), "There are still images in the storage."),
    "SR_NOT_SHARABLE": ErrorCode(
        ("sr", "host"), "The storage {sr} is not shared: the host {host} cannot attach to it."
    ),
    "SR_OPERATION_NOT_SUPPORTED": ErrorCode(("sr",), "The storage {sr} cannot do this."),
    "SR_UNKNOWN_DRIVER": ErrorCode(("driver",), "There is no storage of the type {driver}."),
    "SR_UUID_EXISTS": ErrorCode(("uuid",), "There is storage with the uuid {uuid} already."),
    "SUBJECT_ALREADY_EXISTS": ErrorCode((), "There is a subject with this identifier already."),
    "SUBJECT_CANNOT_BE_RESOLVED": ErrorCode((), "Nobody is known by this name or identifier."),
    "TASK_CANCELLED": ErrorCode(("task",), "The task {task} was cancelled."),
    "TOO_BUSY": ErrorCode((), "The server is too busy for this: too many calls of this kind are under way."),
    "TOO_MANY_PENDING_TASKS": ErrorCode((), "There are too many tasks that have not ended."),
    "TOO_MANY_VUSBS": ErrorCode(("number",), "A VM can have {number} virtual USB devices at most."),
    "TRANSPORT_PIF_NOT_CONFIGURED": ErrorCode(("PIF",), "The NIC {PIF} has no IP address, which a tunnel needs."),
    "UNKOWN_SCHED_POLICY": ErrorCode((), "There is no such scheduler."),
    "USB_GROUP_CONFLICT": ErrorCode(("USB_group",), "The USB group {USB_group} already has a virtual device."),
    "USB_GROUP_CONTAINS_NO_PUSBS": ErrorCode(("usb_group",), "The USB group {usb_group} contains no device."),
    "USB_GROUP_CONTAINS_PUSB": ErrorCode(("pusbs",), "The USB group still contains the devices {pusbs}."),
    "USB_GROUP_CONTAINS_VUSB": ErrorCode(("vusbs",), "The USB group still contains the virtual devices {vusbs}."),
    "UUID_INVALID": ErrorCode(("class", "uuid"), "There is no {class} with the uuid {uuid}."),
    "VALUE_NOT_SUPPORTED": ErrorCode(
        ("field", "value", "reason"), "The value {value} of {field} is not supported: {reason}."
    ),
    "VBD_CDS_MUST_BE_READONLY": ErrorCode((), "A CD drive can only be read."),
    "VBD_IS_EMPTY": ErrorCode(("vbd",), "There is no medium in the drive {vbd}."),
    "VBD_NOT_EMPTY": ErrorCode(("vbd",), "There is a medium in the drive {vbd} already."),
    "VBD_NOT_REMOVABLE_MEDIA": ErrorCode(("vbd",), "The medium of {vbd} cannot be changed: it is not a CD drive."),
    "VBD_NOT_UNPLUGGABLE": ErrorCode(("vbd",), "The device {vbd} cannot be taken away while its VM runs."),
    "VDI_CBT_ENABLED": ErrorCode(("vdi",), "Changed blocks of the image {vdi} are tracked: turn that off first."),
    "VDI_COPY_FAILED": ErrorCode((), "The image could not be copied."),
    "VDI_INCOMPATIBLE_TYPE": ErrorCode(
        ("vdi", "type"), "This is not possible with the image {vdi}, which is of the type {type}."
    ),
    "VDI_IN_USE": ErrorCode(("vdi", "operation"), "The image {vdi} is in use: {operation} is not possible."),
    "VDI_IO_ERROR": ErrorCode(("message",), "The image cannot be read or written: {message}."),
    "VDI_IS_A_PHYSICAL_DEVICE": ErrorCode(("vdi",), "The image {vdi} is a physical device of a host."),
    "VDI_LOCATION_MISSING": ErrorCode(("sr", "location"), "The storage {sr} has no image at {location}."),
    "VDI_MISSING": ErrorCode(
        ("sr", "vdi"), "The image {vdi} was not found in the storage {sr} when that was last scanned."
    ),
    "VDI_NEEDS_VM_FOR_MIGRATE": ErrorCode(("vdi",), "The image {vdi} belongs to no VM: copy it instead."),
    "VDI_NOT_MANAGED": ErrorCode(("vdi",), "The image {vdi} is not managed by the storage's back end."),
    "VDI_NO_CBT_METADATA": ErrorCode(("vdi",), "Nothing is known of changed blocks of the image {vdi}."),
    "VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION": ErrorCode(
        (), "This is not possible with an image that is reset when its VM starts."
    ),
    "VDI_READONLY": ErrorCode(("vdi",), "The image {vdi} can only be read."),
    "VDI_TOO_LARGE": ErrorCode(
        ("vdi", "maximum size"), "The image {vdi} is too large: it can have {maximum size} bytes."
    ),
    "VDI_TOO_SMALL": ErrorCode(
        ("vdi", "minimum size"), "The image {vdi} is too small: it has to have {minimum size} bytes."
    ),
    "VGPU_TYPE_NOT_ENABLED": ErrorCode(
        ("type", "enabled_types"), "The virtual GPU type {type} is not enabled; enabled are {enabled_types}."
    ),
    "VGPU_TYPE_NOT_SUPPORTED": ErrorCode(
        ("type", "supported_types"), "The virtual GPU type {type} is not supported; supported are {supported_types}."
    ),
    "VIF_IN_USE": ErrorCode(("network", "VIF"), "The virtual NIC {VIF} of a running VM is on the network {network}."),
    "VLAN_IN_USE": ErrorCode(("device", "vlan"), "The VLAN {vlan} of the NIC {device} is in use."),
    "VLAN_TAG_INVALID": ErrorCode(("VLAN",), "{VLAN} is no VLAN tag: it has to be between 0 and 4094."),
    "VMSS_HAS_VM": ErrorCode((), "The snapshot schedule still has VMs."),
    "VM_ASSIGNED_TO_SNAPSHOT_SCHEDULE": ErrorCode(
        ("vm", "vmss"), "The VM {vm} belongs to the snapshot schedule {vmss}."
    ),
    "VM_BAD_POWER_STATE": ErrorCode(
        ("vm", "expected", "actual"), "The VM {vm} is {actual}; it has to be {expected} for this."
    ),
    "VM_BIOS_STRINGS_ALREADY_SET": ErrorCode((), "The BIOS strings of this VM have been set already."),
    "VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT": ErrorCode(
        ("vm",), "The guest of the VM {vm} did not shut down when it was asked to."
    ),
    "VM_HAS_NO_SUSPEND_VDI": ErrorCode(("vm",), "The suspended VM {vm} has lost the disk image of its memory."),
    "VM_HAS_PCI_ATTACHED": ErrorCode(("vm",), "The VM {vm} has a PCI device of its host attached."),
    "VM_HAS_VGPU": ErrorCode(("vm",), "The VM {vm} has a virtual GPU."),
    "VM_HAS_VUSBS": ErrorCode(("vm",), "The VM {vm} has virtual USB devices."),
    "VM_HVM_REQUIRED": ErrorCode(("vm",), "The VM {vm} needs hardware virtualization, which the host lacks."),
    "VM_IS_IMMOBILE": ErrorCode(("vm",), "The VM {vm} is configured so that it cannot be suspended or moved."),
    "VM_IS_PART_OF_AN_APPLIANCE": ErrorCode(("vm", "appliance"), "The VM {vm} is part of the appliance {appliance}."),
    "VM_IS_SNAPSHOT": ErrorCode(("vm", "operation"), "{vm} is a snapshot of a VM: {operation} is not possible."),
    "VM_IS_TEMPLATE": ErrorCode(("vm", "operation"), "{vm} is a template for VMs: {operation} is not possible."),
    "VM_LACKS_FEATURE": ErrorCode(
        ("vm",), "The guest of the VM {vm} does not support this: its agent or its drivers are missing."
    ),
    "VM_MIGRATE_CONTACT_REMOTE_SERVICE_FAILED": ErrorCode(
        (), "The host to migrate to is in another pool, which cannot be reached."
    ),
    "VM_MIGRATE_FAILED": ErrorCode(
        ("vm", "source", "destination", "msg"), "The VM {vm} could not move from {source} to {destination}: {msg}."
    ),
    "VM_NON_SUSPENDABLE": ErrorCode(("vm", "reason"), "The guest of the VM {vm} cannot be suspended: {reason}."),
    "VM_NO_SUSPEND_SR": ErrorCode(("vm",), "There is no storage to suspend the VM {vm} to."),
    "VM_REQUIRES_NETWORK": ErrorCode(
        ("vm", "network"), "The host is not on the network {network}, which the VM {vm} needs."
    ),
    "VM_REQUIRES_SR": ErrorCode(("vm", "sr"), "The host does not reach the storage {sr}, which the VM {vm} needs."),
    "VTPM_MAX_AMOUNT_REACHED": ErrorCode(
        ("amount",), "The VM already has {amount} virtual TPM, which is the most that it can have."
    ),
    "WLB_NOT_INITIALIZED": ErrorCode((), "Workload balancing is not set up in this pool."),
    "XENAPI_MISSING_PLUGIN": ErrorCode(("name",), "The host has no plugin {name}."),
}


class XenApiError(Exception):
    """An error that a client of the API receives: a code of the catalogue and its parameters, as strings.

    Raising a code that the catalogue does not have is a mistake of the program (ValueError).
    """

    def __init__(self, code: str, *parameters: object) -> None:
        if code not in ERRORS:
            raise ValueError(f"{code} is not in the error catalogue")
        super().__init__(code, *parameters)
        self.code = code
        self.parameters = tuple(str(parameter) for parameter in parameters)

    @property
    def description(self) -> list[str]:
        """The ErrorDescription of the wire: the code, then its parameters."""
        return [self.code, *self.parameters]

    def __str__(self) -> str:
        return sentence(self.code, self.parameters)


def sentence(code: str, parameters: Sequence[str], translate: Callable[[str], str] = str) -> str:
    """Return the sentence for people that an error of the catalogue stands for.

    ``translate`` gives a sentence of the catalogue, parameters in braces, in another language: ``gettext`` does.
    """
    known = ERRORS[code]
    return translate(known.sentence).format_map(_Named(zip(known.parameters, parameters, strict=False)))


class _Named(dict[str, str]):
    """Parameters by name, for sentences; one that was not given stands as "?"."""

    def __missing__(self, key: str) -> str:
        return "?"
