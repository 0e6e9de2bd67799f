"""The error catalogue: every code once, with the names of its parameters and a sentence for people.

The sentence may name parameters in braces.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ErrorCode:
    """An error of the API: what its parameters are, and what it means."""

    parameters: tuple[str, ...]
    sentence: str


ERRORS: dict[str, ErrorCode] = {
    "CANNOT_RESET_CONTROL_DOMAIN": ErrorCode(
        ("vm",), "The control domain {vm} runs its host: its power state cannot be reset."
    ),
    "EVENTS_LOST": ErrorCode((), "Some events have been lost, because the client read them too slowly."),
    "EVENT_FROM_TOKEN_PARSE_FAILURE": ErrorCode(("token",), "The token {token} is not one that event.from gave."),
    "EVENT_SUBSCRIPTION_PARSE_FAILURE": ErrorCode(
        ("subscription",), "The subscription {subscription} is neither *, nor a class, nor a class and a reference."
    ),
    "HANDLE_INVALID": ErrorCode(("class", "handle"), "There is no {class} with the reference {handle}."),
    "HOST_DISABLED": ErrorCode(("host",), "The host {host} is disabled: no VM may start on it."),
    "HOST_NOT_ENOUGH_FREE_MEMORY": ErrorCode(
        ("needed", "available"), "The host has too little free memory: {needed} bytes are needed, {available} are free."
    ),
    "HOST_NOT_LIVE": ErrorCode((), "The host does not answer."),
    "INSUFFICIENT_CPUS": ErrorCode(
        ("needed", "available"), "There are too few CPUs: {needed} are needed, {available} are free."
    ),
    "INTERNAL_ERROR": ErrorCode(("message",), "The server failed to do this: {message}."),
    "INVALID_CPU": ErrorCode(("message",), "The CPU cannot be used: {message}."),
    "INVALID_VALUE": ErrorCode(("field", "value"), "The value {value} is not valid for {field}."),
    "LAST_CPU_NOT_REMOVEABLE": ErrorCode(("message",), "The last CPU cannot be taken away: {message}."),
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
    "NO_HOSTS_AVAILABLE": ErrorCode((), "No host can run this VM now."),
    "OPERATION_BLOCKED": ErrorCode(("ref", "reason"), "A user has blocked this operation on {ref}: {reason}."),
    "OPERATION_NOT_ALLOWED": ErrorCode(("reason",), "This is not allowed: {reason}."),
    "OTHER_OPERATION_IN_PROGRESS": ErrorCode(
        ("class", "object", "operation_type", "operation_ref"),
        "The {class} {object} is busy with the operation {operation_type}.",
    ),
    "PERMISSION_DENIED": ErrorCode(("message",), "Not permitted: {message}."),
    "PIF_IS_PHYSICAL": ErrorCode(("PIF",), "The NIC {PIF} is physical: it cannot be destroyed."),
    "POOL_BAD_STATE": ErrorCode(("state",), "The CPU pool is in the wrong state: {state}."),
    "PROVISION_ONLY_ALLOWED_ON_TEMPLATE": ErrorCode((), "Only a template can be provisioned."),
    "RBAC_PERMISSION_DENIED": ErrorCode(
        ("permission", "message"), "Your role does not include the permission {permission}: {message}."
    ),
    "REVERT_ONLY_ALLOWED_ON_SNAPSHOT": ErrorCode((), "Only a snapshot can be reverted to."),
    "SECURITY_ERROR": ErrorCode(("xserr", "message"), "The access policy forbids this: {message} (error {xserr})."),
    "SESSION_AUTHENTICATION_FAILED": ErrorCode(("user", "message"), "The user name or the password is wrong."),
    "SESSION_INVALID": ErrorCode(("handle",), "The session is not valid: it has ended, or never was."),
    "SESSION_NOT_REGISTERED": ErrorCode(("handle",), "This session is not registered to receive events."),
    "SR_FULL": ErrorCode(
        ("requested", "maximum"), "The storage is full: {requested} bytes are needed, {maximum} are free."
    ),
    "TASK_CANCELLED": ErrorCode(("task",), "The task {task} was cancelled."),
    "UNKOWN_SCHED_POLICY": ErrorCode((), "There is no such scheduler."),
    "UUID_INVALID": ErrorCode(("class", "uuid"), "There is no {class} with the uuid {uuid}."),
    "VALUE_NOT_SUPPORTED": ErrorCode(
        ("field", "value", "reason"), "The value {value} of {field} is not supported: {reason}."
    ),
    "VLAN_TAG_INVALID": ErrorCode(("VLAN",), "{VLAN} is no VLAN tag: it has to be between 0 and 4094."),
    "VM_BAD_POWER_STATE": ErrorCode(
        ("vm", "expected", "actual"), "The VM {vm} is {actual}; it has to be {expected} for this."
    ),
    "VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT": ErrorCode(
        ("vm",), "The guest of the VM {vm} did not shut down when it was asked to."
    ),
    "VM_HAS_NO_SUSPEND_VDI": ErrorCode(("vm",), "The suspended VM {vm} has lost the disk image of its memory."),
    "VM_HVM_REQUIRED": ErrorCode(("vm",), "The VM {vm} needs hardware virtualization, which the host lacks."),
    "VM_IS_SNAPSHOT": ErrorCode(("vm", "operation"), "{vm} is a snapshot of a VM: {operation} is not possible."),
    "VM_IS_TEMPLATE": ErrorCode(("vm", "operation"), "{vm} is a template for VMs: {operation} is not possible."),
    "VM_NO_SUSPEND_SR": ErrorCode(("vm",), "There is no storage to suspend the VM {vm} to."),
    "VM_REQUIRES_NETWORK": ErrorCode(
        ("vm", "network"), "The host is not on the network {network}, which the VM {vm} needs."
    ),
    "VM_REQUIRES_SR": ErrorCode(("vm", "sr"), "The host does not reach the storage {sr}, which the VM {vm} needs."),
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
        known = ERRORS[self.code]
        named = dict(zip(known.parameters, self.parameters, strict=False))
        return known.sentence.format_map(_Named(named))


class _Named(dict[str, str]):
    """Parameters by name, for sentences; one that was not given stands as "?"."""

    def __missing__(self, key: str) -> str:
        return "?"
