"""The header CIMObject: whether it names the same object as the message does (DSP0200 6.3.7)."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from pycimom.cimxml.requests import Call, Element

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PATH = re.compile(r"([^:]+):([A-Za-z_\w]+)(?:\.(.*))?", re.DOTALL)
_KEY = re.compile(r'([A-Za-z_]\w*)=("(?:[^"\\]|\\.)*"|[^,"]+)(,|\Z)', re.DOTALL)


def names_object(header: str, call: Call) -> bool:
    """Whether the header, percent-encoded or not, names the object of a call.

    pywbem sends it as it is, wbemcli percent-encoded, so a header that reads either way as the object is right.
    """
    return any(_is_object(text, call) for text in _readings(header))


def decode(header: str) -> str | None:
    """Return a percent-encoded header as text, None if it is badly encoded."""
    if _BAD_ESCAPE.search(header):
        return None
    try:
        return unquote_to_bytes(header.encode("latin-1", "replace")).decode()
    except UnicodeDecodeError:
        return None


def _readings(header: str) -> set[str]:
    return {header, decode(header) or header}


def _is_object(text: str, call: Call) -> bool:
    text = text.strip()
    if call.target is None:
        return _same_namespace(text, call.namespace)
    found = _PATH.fullmatch(text)
    if found is None:
        return False
    namespace, class_name, keys = found.groups()
    if not _same_namespace(namespace, call.namespace) or class_name.lower() != call.target.class_name.lower():
        return False
    return _same_keys(keys, call.target.instance_name)


def _same_namespace(text: str, namespace: str) -> bool:
    return text.strip("/").lower() == namespace.lower()


def _same_keys(text: str | None, name: Element | None) -> bool:
    given = _parse_keys(text or "")
    if given is None:
        return False
    bindings = [each for each in name if each.tag == "KEYBINDING"] if name is not None else []
    wanted = {(each.get("NAME") or "").lower(): each[0] if len(each) else None for each in bindings}
    if name is not None and len(name) and not bindings:
        # A single value without the key's name.
        return len(given) <= 1
    if set(given) != set(wanted):
        return False
    return all(
        element is None or element.tag != "KEYVALUE" or _same_value(given[key], element)
        for key, element in wanted.items()
    )


def _same_value(given: str, element: Element) -> bool:
    text = element.text or ""
    if given == text:
        return True
    return element.get("VALUETYPE") in ("numeric", "boolean") and given.strip().lower() == text.strip().lower()


def _parse_keys(text: str) -> dict[str, str] | None:
    keys: dict[str, str] = {}
    position = 0
    while position < len(text):
        found = _KEY.match(text, position)
        if found is None:
            return None
        key, value, comma = found.groups()
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1], flags=re.DOTALL)
        keys[key.lower()] = value
        position = found.end()
        if comma and position == len(text):
            return None
    return keys
