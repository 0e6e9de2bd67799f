"""Instances as MOF text and names as WBEM URIs: what is written comes back, what is neither is refused."""

from __future__ import annotations

import contextlib

import pytest
import pywbem
from hypothesis import example, given
from hypothesis import strategies as st

from cim_provider import InstanceName
from xen_providers.methods.embedded import MofTextError, parse_instance, parse_name

TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from('\t\n"\\'), max_size=20)
SCALARS = {
    "string": TEXTS,
    "boolean": st.booleans(),
    "uint64": st.integers(0, 2**64 - 1).map(pywbem.Uint64),
    "sint64": st.integers(-(2**63), 2**63 - 1).map(pywbem.Sint64),
    "real64": st.floats(allow_nan=False, allow_infinity=False).map(pywbem.Real64),
}
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}", fullmatch=True)
PROPERTIES = st.sampled_from(sorted(SCALARS)).flatmap(
    lambda cim_type: st.builds(
        lambda value: (cim_type, value), SCALARS[cim_type] | st.lists(SCALARS[cim_type], min_size=1, max_size=3)
    )
)


def typed(name: str, cim_type: str, value: object) -> pywbem.CIMProperty:
    return pywbem.CIMProperty(name, value, type=cim_type, is_array=isinstance(value, list))


@given(st.dictionaries(NAMES, PROPERTIES, max_size=5).filter(lambda each: len({k.lower() for k in each}) == len(each)))
def test_what_pywbem_writes_is_read(properties):
    cims = [typed(name, *each) for name, each in properties.items()]
    read = parse_instance(pywbem.CIMInstance("Xen_DiskSettingData", cims).tomof())
    assert read.class_name == "Xen_DiskSettingData"
    assert read.properties == {name: value for name, (_, value) in properties.items()}


def test_what_clients_write():
    text = """
    // the settings of a disk
    instance of Xen_DiskSettingData {
        ElementName = "two " /* parts */ "of one";
        Limit = 0x10; Weight = 101b; Reservation = 017; Ratio = -1.5e3; Share = 1e-05; Letter = 'x';
        HostResource = { "root/cimv2:Xen_DiskImage.DeviceID=\\"Xen:a/b\\"", "\\x41\\t" };
        Shared = TRUE; Parent = NULL; None = {};
    }"""
    read = parse_instance(text)
    assert read.properties == {
        "ElementName": "two of one",
        "Limit": 16,
        "Weight": 5,
        "Reservation": 15,
        "Ratio": -1500.0,
        "Share": 1e-05,
        "Letter": "x",
        "HostResource": ['root/cimv2:Xen_DiskImage.DeviceID="Xen:a/b"', "A\t"],
        "Shared": True,
        "None": [],
    }
    assert parse_instance("instance of X { A = &quot;&lt;&quot;; };").properties == {"A": "<"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Line 1 of the instance: instance is expected, not the end."),
        ("instance of\n{", "Line 2 of the instance: a name is expected, not {."),
        ("instance of X {\n A = 1\n};", "Line 3 of the instance: ; is expected, not }."),
        ("instance of X { A = KiloMeters; };", "Line 1 of the instance: a value is expected, not KiloMeters."),
        ("instance of X { A = 1; a = 2; };", "Line 1 of the instance: a is given twice."),
        ('instance of X { A = "1; };', "Line 1 of the instance: '\"1; };' cannot be read."),
        ("instance of X { }; instance of Y { };", "Line 1 of the instance: something follows the instance."),
        ("instance of X { A = 1abc; };", "Line 1 of the instance: '1abc; };' cannot be read."),
    ],
)
def test_what_is_no_instance_is_refused(text, problem):
    with pytest.raises(MofTextError) as caught:
        parse_instance(text)
    assert str(caught.value) == problem


@given(
    st.lists(st.sampled_from(["instance", " of ", "X", "{", "}", ";", "=", ",", '"', "1", "'", "\\", "-", "/*", "0x"]))
)
def test_no_text_does_anything_but_be_read_or_refused(words):
    with contextlib.suppress(MofTextError):
        parse_instance("instance of X {" + "".join(words))


def test_a_text_that_is_too_long_is_refused_before_it_is_read():
    with pytest.raises(MofTextError, match="characters"):
        parse_instance("instance of X { " + "/* */" * 300_000)


@given(
    NAMES, st.dictionaries(NAMES.map(str.lower), TEXTS | st.booleans() | st.integers(0, 2**64), min_size=1, max_size=3)
)
@example("Xen_ComputerSystem", {"name": 'a,b="c"'})
def test_names_that_pywbem_writes_are_read(class_name, keys):
    uri = pywbem.CIMInstanceName(class_name, keys, namespace="root/cimv2").to_wbem_uri("historical")
    read = parse_name(uri)
    assert read.identity == InstanceName(class_name, tuple(keys.items())).identity
    assert read.namespace == "root/cimv2"


@pytest.mark.parametrize(
    "text", ["", "Xen_X", "Xen_X.", "Xen_X.A", 'Xen_X.A="', 'Xen_X.A="1" ,', 'X.A="1"B="2"', "a" * 36]
)
def test_what_is_no_name_is_none(text):
    assert parse_name(text) is None
