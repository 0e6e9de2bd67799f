"""How values of the Xen-API become values of CIM, wherever they come from."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from cim_provider import InstanceName

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

NAMESPACE = "root/cimv2"
"""The namespace in paths that stand in string properties; a reference has none of its own."""
OWN = "xen-cim:"
"""How the keys of other_config begin under which the bridge keeps what is its own affair."""
NULL = "OpaqueRef:NULL"
"""How the Xen-API writes a reference that leads nowhere."""
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""How the Xen-API writes a moment that has not been."""


def xen_id(uuid: str) -> str:
    """Return the InstanceID of an object: ``Xen:<uuid>``."""
    return f"Xen:{uuid}"


def part_id(uuid: str | None, part: str | None) -> str | None:
    """Return the id of a part of an object: ``Xen:<uuid>/<part>``; None if either is missing."""
    return None if uuid is None or part is None else f"Xen:{uuid}/{part}"


def moment(time: datetime) -> datetime | None:
    """Return a moment; None if it has not been."""
    return None if time == NEVER else time


def pairs(entries: Mapping[str, Any]) -> list[str]:
    """Return the entries of a map as ``key=value``, without the bridge's own."""
    return [f"{key}={value}" for key, value in entries.items() if not key.startswith(OWN)]


def words(text: str) -> list[str]:
    """Return the parts of a list that is separated by commas."""
    return [word for each in text.split(",") if (word := each.strip())]


def natural(number: Any) -> int | None:
    """Return a quantity, which the Xen-API 1.0 writes as a string; None if it is negative, which means unknown."""
    found = int(number)
    return None if found < 0 else found


def setting(text: str, most: int) -> int | None:
    """Return a number that somebody wrote as a text, from 1 to ``most``; None for any other text, and for 0."""
    number = int(text) if text.isascii() and text.isdigit() else 0
    return number if 0 < number <= most else None


def percentage(fraction: Any) -> int:
    """Return a fraction as whole percents."""
    return min(max(round(float(fraction) * 100), 0), 100)


def given(text: str) -> str | None:
    """Return a text; None if it is empty, which is how the Xen-API writes that there is none."""
    return text or None


def in_table(table: Mapping[K, V], default: V | None = None) -> Callable[[K], V | None]:
    """Return a conversion that looks values up in a table."""
    return lambda found: table.get(found, default)


def uri(class_name: str, key: str, value: str) -> str:
    """Return the path of an instance as it is written in a string property."""
    return f'{NAMESPACE}:{class_name}.{key}="{value}"'


def name_uri(name: InstanceName) -> str:
    """Return the path of an instance as it is written in a string property."""
    return str(name.within(NAMESPACE))
