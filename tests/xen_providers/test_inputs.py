"""Parameters of methods: every form that clients in use write, and a sentence for what cannot be used."""

from __future__ import annotations

import pytest

from cim_provider import Instance, InstanceName
from xen_providers.hosts import HOST_COMPUTER_SYSTEM
from xen_providers.methods.inputs import Inputs, needed
from xen_providers.methods.outcomes import Failure, MethodError
from xen_providers.virtual_systems import COMPUTER_SYSTEM


@pytest.fixture
def view(provider):
    return provider.view()


@pytest.fixture
def system(view):
    return view.instances("Xen_ComputerSystem")[0]


FORMS = {
    "a path": lambda uuid, name: name,
    "a path in a namespace": lambda uuid, name: name.within("root/other"),
    "a path with more keys": lambda uuid, name: InstanceName(name.class_name, (*name.keys, ("Caption", "x"))),
    "a path of the CIM class": lambda uuid, name: InstanceName("CIM_ComputerSystem", name.keys),
    "a uuid": lambda uuid, name: uuid,
    "a uuid in capitals": lambda uuid, name: f" {uuid.upper()} ",
    "a URI": lambda uuid, name: f'root/cimv2:{name.class_name}.Name="{uuid}",CreationClassName="Xen_ComputerSystem"',
    "an embedded instance": lambda uuid, name: Instance(name.class_name, {**dict(name.keys), "ElementName": "x"}),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
async def test_elements_are_named_in_many_ways(view, system, form):
    uuid = system.get("Name")
    inputs = Inputs({"System": form(uuid, system.name)}, view)
    found = inputs.element("System", HOST_COMPUTER_SYSTEM, COMPUTER_SYSTEM)
    assert (found.mapped, found.record["uuid"]) == (COMPUTER_SYSTEM, uuid)
    (same,) = inputs.elements("System", COMPUTER_SYSTEM)
    assert same == found


@pytest.mark.parametrize("value", [None, "", " "])
async def test_nothing_is_nothing(view, value):
    assert Inputs({"System": value}, view).element("System", COMPUTER_SYSTEM) is None


@pytest.mark.parametrize(
    "value",
    [
        "no uuid",
        InstanceName("Xen_ComputerSystem", (("Name", "x"),)),
        InstanceName("Xen_Disk", (("Name", "x"),)),
        True,
        [3],
    ],
)
async def test_what_names_no_element_is_an_invalid_parameter(view, value):
    with pytest.raises(MethodError, match="System") as caught:
        Inputs({"System": value}, view).element("System", COMPUTER_SYSTEM)
    assert caught.value.failure is Failure.INVALID_PARAMETER


async def test_an_element_of_another_class_is_not_found(view):
    template = next(each for each in view.version.records("VM").values() if each["is_a_template"])
    with pytest.raises(MethodError, match="there is no Xen_ComputerSystem"):
        Inputs({"System": template["uuid"]}, view).element("System", COMPUTER_SYSTEM)


MOF = 'instance of Xen_MemorySettingData { VirtualQuantity = 18446744073709551615; Limit = "7"; Connection = "a=b"; };'


@pytest.mark.parametrize(
    "given", [MOF, [MOF], Instance("x", {"VIRTUALQUANTITY": 2**64 - 1, "Limit": 7, "Connection": ["a=b"]})]
)
async def test_settings_are_instances_or_text(view, given):
    settings = Inputs({"Settings": given}, view).settings("Settings")
    assert settings.number("VirtualQuantity") == 2**64 - 1
    assert settings.number("Limit") == 7
    assert settings.texts("Connection") == ["a=b"]
    assert settings.entries("Connection") == {"a": "b"}
    assert "Reservation" not in settings
    assert settings.number("Reservation") is None


PROBLEMS = {
    "two": ({"S": [MOF, MOF]}, lambda inputs: inputs.settings("S"), "S: one instance is expected."),
    "no MOF": (
        {"S": "x"},
        lambda inputs: inputs.settings("S"),
        "S: Line 1 of the instance: instance is expected, not x.",
    ),
    "one of several": ({"S": [MOF, 3]}, lambda inputs: inputs.all_settings("S"), "S\\[1\\]: an embedded instance"),
    "negative": ({"N": -1}, lambda inputs: inputs.number("N"), "N: a number from 0 is expected, not -1."),
    "no number": ({"N": "1x"}, lambda inputs: inputs.number("N"), "N: a number"),
    "a flag for a number": ({"N": True}, lambda inputs: inputs.number("N"), "N: a number"),
    "no flag": ({"F": 1}, lambda inputs: inputs.flag("F"), "F: true or false is expected, not 1."),
    "no text": ({"T": 1}, lambda inputs: inputs.text("T"), "T: a string is expected, not 1."),
    "a hole": ({"T": ["a", None]}, lambda inputs: inputs.texts("T"), "T: it is missing."),
    "missing": ({}, lambda inputs: needed("T", inputs.text("T")), "T: it is missing."),
    "no entry": (
        {"S": 'instance of X { A = "b"; };'},
        lambda inputs: inputs.settings("S").entries("A"),
        "S.A: each entry has the form key=value.",
    ),
}


@pytest.mark.parametrize(("given", "read", "problem"), PROBLEMS.values(), ids=PROBLEMS)
async def test_what_cannot_be_used_is_named(view, given, read, problem):
    with pytest.raises(MethodError, match=problem) as caught:
        read(Inputs(given, view))
    assert caught.value.failure is Failure.INVALID_PARAMETER


async def test_words_are_flags_too(view):
    assert Inputs({"F": "TRUE"}, view).flag("F") is True
    assert Inputs({"F": False}, view).flag("F") is False
