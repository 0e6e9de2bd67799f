"""Names of instances, comparable wherever they came from."""

from __future__ import annotations

from typing import Any, TypeAlias

import pywbem

Identity: TypeAlias = tuple[str, str, frozenset[Any]]
"""Namespace and class in lower case, and the keys."""


def identity(path: pywbem.CIMInstanceName, namespace: str) -> Identity:
    """Return what tells an instance from all others; ``namespace`` is that of names that say none."""
    own = (path.namespace or namespace).strip("/").lower()
    keys = frozenset((name.lower(), _comparable(value, own)) for name, value in path.keybindings.items())
    return own, path.classname.lower(), keys


def short(path: pywbem.CIMInstanceName) -> str:
    """Return a name as people read it, without host and namespace."""
    return str(pywbem.CIMInstanceName(path.classname, path.keybindings))


def changed(path: pywbem.CIMInstanceName, key: str) -> pywbem.CIMInstanceName | None:
    """Return a name with another value of one key; None for a value of which there is no other to be had."""
    value = path.keybindings[key]
    other: Any = None
    if isinstance(value, str):
        other = f"{value}-other"
    elif isinstance(value, pywbem.CIMInstanceName):
        text = next((name for name, each in value.keybindings.items() if isinstance(each, str)), None)
        other = changed(value, text) if text is not None else None
    elif isinstance(value, int) and not isinstance(value, bool):
        other = type(value)(value - 1 if value > 0 else value + 1)
    if other is None:
        return None
    name = path.copy()
    name.keybindings[key] = other
    return name


def _comparable(value: Any, namespace: str) -> Any:
    if isinstance(value, pywbem.CIMInstanceName):
        return identity(value, namespace)
    return str(value) if isinstance(value, pywbem.CIMDateTime) else value
