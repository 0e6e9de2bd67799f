"""The registration files say what the providers declare, and what the MOF declares, no more and no less."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from xen_providers.indications import INDICATIONS
from xen_providers.provider import CLASSES
from xen_tools.registration import FILES, KINDS, text_of

ROOT = Path(__file__).resolve().parents[2]
DECLARED = {each.name: each.declaration for each in (*CLASSES, *INDICATIONS)}


@pytest.mark.parametrize("file", FILES)
def test_the_file_is_as_the_declarations_have_it(file):
    told = f"write it anew: python -m xen_tools.registration {file} > cimom-config/{file}"
    assert (ROOT / "cimom-config" / file).read_text() == text_of(file), told


def sfcb() -> dict[str, tuple[set[str], set[str]]]:
    """What SFCB is told: by class, the types and the namespaces."""
    found = {}
    for section in text_of("sfcb/xen-cim.reg").split("#\n")[:-1]:
        head, *lines = section.splitlines()
        settings = dict(line.strip().split(": ") for line in lines)
        assert (settings["provider"], settings["group"], settings["unload"]) == ("xen-cim", "xen-cim", "never")
        assert head[1:-1] not in found
        found[head[1:-1]] = set(settings["type"].split()), set(settings["namespace"].split())
    return found


def pegasus() -> dict[str, tuple[set[str], set[str]]]:
    words = {str(number): kind for kind, (number, _) in KINDS.items()}
    found = {}
    for block in re.findall(r"instance of PG_ProviderCapabilities \{\n(.*?)\n\};\n", text_of(PEGASUS), re.DOTALL):
        (name,) = re.findall(r'ClassName = "(\w+)"', block)
        (types,) = re.findall(r"ProviderType = \{ (.*?) \}", block)
        (spaces,) = re.findall(r"Namespaces = \{ (.*?) \}", block)
        assert name not in found
        found[name] = {words[each] for each in types.split(", ")}, set(spaces.replace('"', "").split(", "))
    return found


PEGASUS = "pegasus/xen-cim-registration.mof"


@pytest.mark.parametrize("registered", [sfcb, pegasus])
def test_every_class_is_registered_for_what_it_is(registered):
    found = registered()
    assert set(found) == set(DECLARED)
    for name, (types, spaces) in found.items():
        declared = DECLARED[name]
        assert ("indication" in types) == declared.is_indication == ("instance" not in types)
        assert ("association" in types) == declared.is_association
        assert ("method" in types) == bool(declared.methods)
        assert "root/cimv2" in spaces


@pytest.mark.parametrize("registered", [sfcb, pegasus])
def test_profiles_are_in_the_interop_namespace_too(registered):
    in_both = {name for name, (_, spaces) in registered().items() if spaces == {"root/cimv2", "root/interop"}}
    parents = ("CIM_RegisteredProfile", "Xen_ElementConformsToProfile", "CIM_ElementConformsToProfile")
    for name, declared in DECLARED.items():
        if declared.superclass in parents:
            assert name in in_both
    assert {name for name in in_both if "Profile" not in name} == set()


def test_every_class_of_the_mof_that_is_served_is_registered():
    mof = "".join(each.read_text() for each in (ROOT / "mof").glob("*.mof"))
    declared = set(re.findall(r"^class (Xen_\w+)", mof, re.MULTILINE))
    assert set(sfcb()) <= declared
