"""The pairs of an association, asked for in all the ways there are."""

from __future__ import annotations

from typing import Any

from cim_provider import InstanceName


def short(name: Any) -> str:
    """Return what tells an instance from the others of its class."""
    assert isinstance(name, InstanceName)
    return str(next(filter(None, map(name.get, ("DeviceID", "InstanceID", "Name")))))


def pairs(view: Any, association: str, one: str, other: str) -> set[tuple[str, str]]:
    """Return the pairs of an association by its two roles; each end exists, and each leads to the other and back."""
    found = view.instances(association)
    by_name: dict[tuple[str, InstanceName], set[Any]] = {}
    for each in found:
        for role in (one, other):
            by_name.setdefault((role, each.get(role)), set()).add(each.name)
    for (role, name), names in by_name.items():
        assert view.instance(name) is not None, f"{association}: there is no {name}"
        assert {each.name for each in view.references(association, name, role)} == names
        assert {each.name for each in view.references(association, name)} >= names
        assert all(view.instance(each) is not None for each in names)
    ends = [(each.get(one), each.get(other)) for each in found]
    assert len(set(ends)) == len(ends), f"{association} has a pair twice"
    return {(short(first), short(second)) for first, second in ends}
