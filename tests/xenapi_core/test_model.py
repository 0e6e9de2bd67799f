"""The classes as declared, compared with what two generations of the Xen-API are known to have."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from xenapi_core.datamodel import Datamodel
from xenapi_core.datamodel.errors import ERRORS, XenApiError
from xenapi_core.datamodel.types import Enum, Map, Set, Type

REFERENCE = Path(__file__).parents[3] / "shared" / "reference"

CLASSES = (
    "pool",
    "host",
    "host_metrics",
    "host_cpu",
    "VM",
    "VM_metrics",
    "VM_guest_metrics",
    "VM_appliance",
    "VMSS",
    "VMPP",
    "VTPM",
    "VGPU",
    "VGPU_type",
    "PGPU",
    "GPU_group",
    "VUSB",
    "PUSB",
    "USB_group",
    "user",
    "SR",
    "PBD",
    "VDI",
    "VBD",
    "VBD_metrics",
    "DSCSI_HBA",
    "DSCSI",
    "PSCSI_HBA",
    "PSCSI",
    "blob",
    "host_crashdump",
    "crashdump",
    "SM",
    "VIF",
    "VIF_metrics",
    "network",
    "PIF",
    "PIF_metrics",
    "console",
    "secret",
    "Certificate",
    "Feature",
    "PVS_site",
    "PVS_server",
    "PVS_proxy",
    "PVS_cache_storage",
    "SDN_controller",
    "Cluster",
    "Cluster_host",
    "Observer",
    "Repository",
    "pool_patch",
    "pool_update",
    "host_patch",
    "DR_task",
    "role",
    "subject",
    "auth",
    "message",
    "session",
    "debug",
    "XSPolicy",
    "ACMPolicy",
)


UNDOCUMENTED = {"DEBUG_FAIL"}
"""Codes that the first generation's servers gave without the text's telling."""

GIVEN_TO_CREATE = {("console", name) for name in ("VM", "protocol", "location")}
"""Fields that are fixed from the creation on, whatever the facts call them: nobody else could set them."""


FLAGS = {"xs_type": "int", "xs_instantiationflags": "int"}
"""Types of the first generation whose values are bits."""

NOTHING: dict[str, Any] = {"fields": [], "messages": []}
"""What a generation knows of a class that it does not have."""


def facts(name: str) -> Any:
    path = REFERENCE / name
    if not path.is_file():
        pytest.skip(f"the facts are not here: there is no {path}")
    return json.loads(path.read_text("utf-8"))


def normal(name: str) -> str:
    """Return the name of a type as declarations have it: without the word for enumerations, bits as numbers."""
    return FLAGS.get(name, re.sub(r"\benum ", "", name))


def enums(kind: Type) -> list[Enum]:
    """Return the enumerations that a type speaks of."""
    if isinstance(kind, Enum):
        return [kind]
    if isinstance(kind, Set):
        return enums(kind.of)
    if isinstance(kind, Map):
        return [*enums(kind.key), *enums(kind.value)]
    return []


@pytest.mark.parametrize("name", CLASSES)
def test_fields_of_the_modern_generation(datamodel: Datamodel, name: str) -> None:
    declared = datamodel.classes[name].fields
    for known in facts("xenapi-modern.json")["classes"].get(name, NOTHING)["fields"]:
        field = declared[known["name"]]
        assert field.type.name == normal(known["type"]), field.name
        if (name, field.name) not in GIVEN_TO_CREATE:
            assert field.qualifier.value == known["qualifier"], field.name


@pytest.mark.parametrize("name", CLASSES)
def test_fields_of_the_first_generation(datamodel: Datamodel, name: str) -> None:
    modern = {field["name"] for field in facts("xenapi-modern.json")["classes"].get(name, NOTHING)["fields"]}
    declared = datamodel.classes[name].fields
    for known in facts("xenapi-1.0.json")["classes"].get(name, NOTHING)["fields"]:
        assert known["name"] in declared
        if known["name"] not in modern:
            field = declared[known["name"]]
            assert field.type.name == normal(known["type"]), field.name
            assert field.qualifier.value == known["qualifier"], field.name


TOTALS = frozenset(f"io_{way}_{unit}_total" for way in ("read", "write") for unit in ("bytes", "operations"))
ADDED = {**dict.fromkeys(("VBD_metrics", "VIF_metrics", "PIF_metrics"), TOTALS), "debug": {"uuid"}}
"""Fields that neither generation has; docs/compatibility.md tells of them."""


def test_no_fields_beyond_the_facts(datamodel: Datamodel) -> None:
    modern, first = facts("xenapi-modern.json")["classes"], facts("xenapi-1.0.json")["classes"]
    for name in CLASSES:
        known = {field["name"] for source in (modern, first) if name in source for field in source[name]["fields"]}
        told = {field.name for field in datamodel.classes[name].fields.values() if not field.internal}
        assert told - ADDED.get(name, frozenset()) == known, name


@pytest.mark.parametrize("name", CLASSES)
def test_enumerations_have_all_their_words(datamodel: Datamodel, name: str) -> None:
    modern, first = facts("xenapi-modern.json")["enums"], facts("xenapi-1.0.json")["enums"]
    for field in datamodel.classes[name].fields.values():
        for kind in enums(field.type):
            words = set(modern.get(kind.name, {"values": []})["values"])
            words |= {word["value"] for word in first.get(kind.name, [])}
            assert {member.value for member in kind.python} == words, kind.name


@pytest.mark.parametrize("name", CLASSES)
def test_messages_have_the_parameters_and_roles_of_the_facts(datamodel: Datamodel, name: str) -> None:
    known = {
        message["name"]: message for message in facts("xenapi-modern.json")["classes"].get(name, NOTHING)["messages"]
    }
    missing = [message for message in datamodel.classes[name].messages if message not in known]
    older = facts("xenapi-1.0.json")["classes"].get(name, NOTHING)["messages"]
    first = {message[key] for message in older for key in ("name", "heading_name") if key in message}
    assert set(missing) <= first
    for full_name, message in datamodel.messages.items():
        cls, _, short = full_name.partition(".")
        if cls != name or short not in known:
            continue
        fact = known[short]
        declared = [(parameter.name, parameter.type.name) for parameter in message.parameters]
        told = [(parameter["name"], normal(parameter["type"])) for parameter in fact["params"]]
        if not message.implicit:
            assert declared[: len(told)] == told, full_name
            assert message.result.name == normal(fact["result"]), full_name
        assert message.role.label == fact["min_role"], full_name


def test_relations_of_the_facts_are_collections(datamodel: Datamodel) -> None:
    checked = 0
    for relation in facts("xenapi-1.0.json")["relations"]:
        ends = [relation["a"], relation["b"]]
        many, one = ends if relation["kind"] == "one-to-many" else reversed(ends)
        (many_class, many_field), (one_class, one_field) = many.split("."), one.split(".")
        if {many_class, one_class} <= set(CLASSES) and many_field in datamodel.classes[many_class].fields:
            assert datamodel.classes[one_class].fields[one_field].opposite == (many_class, many_field)
            checked += 1
    assert checked >= 12


def test_errors_have_the_parameters_of_the_facts() -> None:
    known = {**facts("xenapi-1.0.json")["errors"], **facts("xenapi-modern.json")["errors"]}
    told_more = {"VM_IS_TEMPLATE", "SESSION_AUTHENTICATION_FAILED"}  # the server adds what the facts' prose tells
    for code, error in ERRORS.items():
        if code in UNDOCUMENTED:
            continue
        assert code in known, code
        if known[code]["params"] is not None and code not in told_more:
            assert len(error.parameters) == len(known[code]["params"]), code


def test_first_generation_errors_are_all_there() -> None:
    assert set(facts("xenapi-1.0.json")["errors"]) <= set(ERRORS)


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_every_sentence_names_only_parameters(code: str) -> None:
    error = ERRORS[code]
    sentence = str(XenApiError(code, *(f"<{name}>" for name in error.parameters)))
    assert "?" not in sentence
    assert sentence.endswith(".")


def test_declared_errors_of_messages_are_in_the_catalogue(datamodel: Datamodel) -> None:
    for message in datamodel.messages.values():
        assert set(message.errors) <= set(ERRORS), message.method


def test_everything_says_what_it_is(datamodel: Datamodel) -> None:
    for name in CLASSES:
        definition = datamodel.classes[name]
        assert definition.doc
        assert all(field.doc for field in definition.fields.values())
        assert all(message.doc for message in definition.messages.values())
