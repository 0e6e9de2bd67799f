"""Which virtual machine, template or snapshot a method is about, in the many ways in which clients name it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xen_providers.methods.call import Call
from xen_providers.methods.inputs import Inputs, needed
from xen_providers.methods.objects import find_object
from xen_providers.methods.outcomes import invalid
from xenapi_client import Record


@dataclass(frozen=True)
class Machine:
    """A virtual machine, a template or a snapshot that a parameter names."""

    ref: str
    record: Record

    @property
    def is_system(self) -> bool:
        """Whether it is a machine, not what machines are made from."""
        return not self.record["is_a_template"] and not self.record["is_a_snapshot"]


def find_machine(call: Call, parameter: str, value: Any) -> Machine:
    """Return what a path, as such or as text, or a uuid names: a machine or its settings, a template or a snapshot."""
    return Machine(*find_object(call, "VM", parameter, value, "virtual system"))


def machine_or_none(call: Call, inputs: Inputs, name: str) -> Machine | None:
    """Return what a parameter names; None if it is missing or blank."""
    value = inputs.get(name)
    return None if value is None or (isinstance(value, str) and not value.strip()) else find_machine(call, name, value)


def system(call: Call, inputs: Inputs, *names: str) -> Machine:
    """Return the virtual machine that one of some parameters names."""
    name = next((each for each in names if each in inputs), names[0])
    machine = find_machine(call, name, needed(name, inputs.get(name)))
    if not machine.is_system:
        raise invalid(name, "it is a template or a snapshot, not a virtual machine.")
    return machine
