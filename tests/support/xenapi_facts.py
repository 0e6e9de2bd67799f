"""Revision 1.0.10 of the Xen-API as facts, and what values of its types look like on the wire."""

from __future__ import annotations

import json
import re
import xmlrpc.client
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[3] / "shared" / "reference" / "xenapi-1.0.json"
MISSING = f"the facts are not here: there is no {FILE}"


def facts() -> dict[str, Any]:
    """Everything that is known of revision 1.0.10; empty if the file is not there."""
    return json.loads(FILE.read_text("utf-8")) if FILE.is_file() else {}


FACTS = facts()
CLASSES: dict[str, Any] = FACTS.get("classes", {})

CHANGED = {
    "task.progress": "float",
    "session.last_active": "datetime",
    "cpu_pool.add_to_proposed_CPUs": "string",
    "cpu_pool.remove_from_proposed_CPUs": "string",
}
"""Types that are not those of 1.0: of fields (rows of docs/compatibility.md), and of values of sets whose text
contradicts itself (the field is a set of strings)."""

NOT_IN_RECORDS = {"task.session"}
"""Fields with a getter that are left out of records, which other sessions read too (a row of docs/compatibility.md)."""

ALIASES = {"vm": "VM", "xs": "ACMPolicy", "xs_ref": "XSPolicy"}
"""Classes whose name the text misspells."""

FLAGS = ("xs_type", "xs_instantiationflags")

TOO = {"task_allowed_operations": ("cancel", "destroy"), "task_status_type": ("cancelled",)}
"""Words that today's generation adds to enumerations, or spells differently."""


@dataclass(frozen=True)
class Parameter:
    name: str
    type: str


@dataclass(frozen=True)
class Message:
    """A message of 1.0."""

    cls: str
    name: str
    kind: str
    session: bool
    parameters: tuple[Parameter, ...]
    result: str
    errors: tuple[str, ...]

    @property
    def method(self) -> str:
        return f"{self.cls}.{self.name}"

    @property
    def field(self) -> str:
        """The field that a getter or setter is about; empty for others."""
        match = re.match(r"(get|set|add_to|remove_from)_(.*)", self.name)
        return match[2] if match and match[2] in field_types(self.cls) else ""


def field_types(cls: str) -> dict[str, str]:
    """The fields of a class and their types, those included that docs/compatibility.md says differ."""
    fields = CLASSES.get(cls, {"fields": []})["fields"]
    return {field["name"]: CHANGED.get(f"{cls}.{field['name']}", field["type"]) for field in fields}


def settable(cls: str) -> list[str]:
    """The fields that whoever creates an object gives."""
    return [field["name"] for field in CLASSES[cls]["fields"] if field["qualifier"] in ("RW", "RO_ins")]


LAST = ("destroy", "disable", "reboot", "shutdown", "logout", "rm_xsbootpolicy", "reset_xspolicy")
"""Messages that take something away from those that come after them."""


def messages(cls: str) -> Iterator[Message]:
    """The messages of a class, those that take something away last."""
    known = sorted(CLASSES[cls]["messages"], key=lambda each: LAST.index(each["name"]) if each["name"] in LAST else -1)
    names = [each["name"] for each in known]
    for each in known:
        twice = names.count(each["name"]) > 1  # then the text meant what it says in the heading
        name = each.get("heading_name", each["name"]) if twice else each["name"]
        method = f"{cls}.{name}"
        parameters = [Parameter(p["name"], p["type"]) for p in each["params"]]
        if method in CHANGED:
            parameters[-1] = Parameter(parameters[-1].name, CHANGED[method])
        result = CHANGED.get(f"{cls}.{name.removeprefix('get_')}", each["result"])
        session, errors = each["session_required"], tuple(each["errors"])
        yield Message(cls, name, each["kind"], session, tuple(parameters), result, errors)


GENERIC = frozenset(
    {code for code, error in FACTS.get("errors", {}).items() if error["generic"]} - {"INTERNAL_ERROR"}
) | {"INVALID_VALUE", "UUID_INVALID", "VALUE_NOT_SUPPORTED"}
"""Errors that any message may give."""


def referred(kind: str) -> str:
    """The class whose references a type's values are; empty if they are none."""
    name = kind.removesuffix(" ref") if kind.endswith((" ref", "xs_ref")) else ""
    return ALIASES.get(name, name)


def wrong(value: Any, kind: str) -> str:
    """What is wrong with a value of the wire that is to be of a type; empty if nothing is."""
    for pattern, judge in _JUDGES:
        match = re.fullmatch(pattern, kind)
        if match is not None:
            return judge(value, *match.groups())
    return f"{kind} is not a known type"


def _is(kind: type, what: str) -> Any:
    return lambda value, *_: "" if isinstance(value, kind) else f"{value!r} is no {what}"


def _integer(value: Any, *_: str) -> str:
    text = isinstance(value, str) and re.fullmatch(r"-?\d+", value)
    return "" if text else f"{value!r} is no decimal number in a string"


def _void(value: Any, *_: str) -> str:
    return "" if value == "" else f"{value!r} is not the empty string"


def _reference(value: Any, *_: str) -> str:
    good = isinstance(value, str) and value.startswith("OpaqueRef:")
    return "" if good else f"{value!r} is no reference"


def _set(value: Any, of: str) -> str:
    if not isinstance(value, list):
        return f"{value!r} is no array"
    return next(filter(None, (wrong(item, of) for item in value)), "")


def _references(value: Any, _cls: str) -> str:
    return _set(value, "VM ref")


def _map(value: Any, key: str, of: str) -> str:
    if not isinstance(value, dict):
        return f"{value!r} is no struct"
    keys = (wrong(item, key) for item in value)
    return next(filter(None, (*keys, *(wrong(item, of) for item in value.values()))), "")


def _record(value: Any, cls: str) -> str:
    if not isinstance(value, dict):
        return f"{value!r} is no struct"
    for name, kind in field_types(cls).items():
        if f"{cls}.{name}" in NOT_IN_RECORDS:
            continue
        if name not in value:
            return f"the record of {cls} has no {name}"
        if found := wrong(value[name], kind):
            return f"{cls}.{name}: {found}"
    return ""


def _struct(value: Any, *_: str) -> str:
    return "" if isinstance(value, dict) and value else f"{value!r} is no struct with members"


def _word(value: Any, name: str) -> str:
    words = [each["value"] for each in FACTS["enums"][name]] + list(TOO.get(name, ()))
    return "" if value in words else f"{value!r} is no {name}"


_JUDGES: list[tuple[str, Any]] = [
    ("void", _void),
    ("string", _is(str, "string")),
    ("int|xs_type|xs_instantiationflags", _integer),
    ("float", _is(float, "double")),
    ("bool", _is(bool, "boolean")),
    ("datetime", _is(xmlrpc.client.DateTime, "dateTime")),
    (r"\((.+?) -> (.+)\) map", _map),
    (r"(\w+) ref", _reference),
    ("(host_cpu|cpu_pool) set", _references),
    (r"(.+) set", _set),
    (r"(\w+) record", _record),
    ("xs_policystate|acm_policyheader", _struct),
    (f"({'|'.join(FACTS.get('enums', {'none': 0}))})", _word),
]
