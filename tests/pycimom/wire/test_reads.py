"""Reading instances and associations, with pywbem."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import pywbem


def names(paths):
    return sorted(
        (path.classname, path.keybindings.get("Number") or path.keybindings.get("InstanceID")) for path in paths
    )


def path_of(instance, namespace=None):
    keys = [
        (name, path_of(value) if hasattr(value, "keys") else pywbem.Uint16(value) if isinstance(value, int) else value)
        for name, value in instance.keys
    ]
    return pywbem.CIMInstanceName(instance.class_name, keys, namespace=namespace)


def test_enumeration_walks_subclasses(client):
    assert names(client.EnumerateInstanceNames("t_element")) == [
        ("T_Setting", "setting 1"),
        ("T_Setting", "setting 2"),
        ("T_SubSystem", 3),
        ("T_System", 1),
        ("T_System", 2),
    ]
    found = client.EnumerateInstances("T_System")
    assert [each.classname for each in found] == ["T_System", "T_System", "T_SubSystem"]
    assert found[2]["Extra"] == "more"
    assert found[2].path.namespace == "root/cimv2"


def test_every_type_arrives(client, tools):
    found = client.GetInstance(path_of(tools.full.name))
    expected = {
        "Name": '<system> & "1"',
        "Caption": "é\r\n\t ",
        "Flag": True,
        "S8": -128,
        "S64": -(2**63),
        "U64": 2**64 - 1,
        "R32": 1.5,
        "R64": 0.1,
        "Letter": "x",
        "Words": ["a", "", None, "<b>"],
        "Codes": [0, 65535],
        "Flags": [True, False],
        "Description": None,
    }
    assert {name: found[name] for name in expected} == expected
    assert found.properties["Letter"].type == "char16"
    assert found["Since"].datetime == datetime(2026, 2, 28, 23, 59, 58, 123456, UTC)
    assert found["Uptime"].timedelta == timedelta(days=3, hours=4, minutes=5, seconds=6, microseconds=7)
    assert (found["Setting"].classname, found["Setting"]["InstanceID"], found["Setting"]["Level"]) == (
        "T_Setting",
        "in & side",
        9,
    )
    assert list(found.properties) == list(client.GetClass("T_System", LocalOnly=False).properties)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"PropertyList": ["number", "EXTRA", "Number", "Unknown"]}, {"Number", "Extra"}),
        ({"PropertyList": []}, set()),
        ({"DeepInheritance": False, "PropertyList": ["Number", "Extra"]}, {"Number"}),
    ],
)
def test_property_list(client, options, expected):
    assert set(client.EnumerateInstances("T_System", **options)[2].properties) == expected


def test_shallow_enumeration_hides_what_subclasses_add(client):
    found = client.EnumerateInstances("T_System", DeepInheritance=False)[2]
    assert found.classname == "T_SubSystem"
    assert "Extra" not in found.properties
    assert "Number" in found.properties


def test_class_origin(client, tools):
    found = client.GetInstance(path_of(tools.full.name), IncludeClassOrigin=True)
    assert found.properties["Caption"].class_origin == "T_Element"
    assert found.properties["Number"].class_origin == "T_System"


def test_associations_in_both_directions_and_with_filters(client, tools):
    third = path_of(tools.system(3, "T_SubSystem").name)
    first = path_of(tools.setting(1).name)
    assert names(client.AssociatorNames(third)) == [("T_Setting", "setting 1"), ("T_Setting", "setting 2")]
    assert names(client.AssociatorNames(first)) == [("T_SubSystem", 3), ("T_System", 1)]
    assert names(client.AssociatorNames(first, ResultClass="T_SubSystem")) == [("T_SubSystem", 3)]
    assert names(client.AssociatorNames(first, AssocClass="T_Link", Role="dependent", ResultRole="ANTECEDENT"))
    assert client.AssociatorNames(first, Role="Antecedent") == []
    assert client.AssociatorNames(first, ResultRole="Dependent") == []
    found = client.Associators(third, PropertyList=["Level"])
    assert sorted(each["Level"] for each in found) == [1, 2]
    assert {each.path.host for each in found} == {"cim.example"}
    references = client.References(first, ResultClass="T_Link")
    assert sorted(each["Antecedent"]["Number"] for each in references) == [1, 3]
    assert {each["Dependent"].namespace for each in references} == {"root/cimv2"}
    assert len(client.ReferenceNames(first, Role="Dependent")) == 2
    again = client.GetInstance(client.ReferenceNames(path_of(tools.full.name))[0])
    assert again["Is_Current"] is True


@pytest.mark.parametrize(
    ("ask", "status"),
    [
        (lambda c, p: c.EnumerateInstances("Nothing"), pywbem.CIM_ERR_INVALID_CLASS),
        (lambda c, p: c.EnumerateInstances("T_System", namespace="no/where"), pywbem.CIM_ERR_INVALID_NAMESPACE),
        (lambda c, p: c.EnumerateInstanceNames("T_System", namespace="root/empty"), pywbem.CIM_ERR_INVALID_CLASS),
        (lambda c, p: c.GetClass("Nothing"), pywbem.CIM_ERR_NOT_FOUND),
        (lambda c, p: c.GetInstance(p("T_Setting", InstanceID="none")), pywbem.CIM_ERR_NOT_FOUND),
        (lambda c, p: c.GetInstance(p("T_Setting", Id="none")), pywbem.CIM_ERR_INVALID_PARAMETER),
        (lambda c, p: c.GetInstance(p("T_Setting", Level=1)), pywbem.CIM_ERR_INVALID_PARAMETER),
        (lambda c, p: c.GetInstance(p("T_System", Name="x")), pywbem.CIM_ERR_INVALID_PARAMETER),
        (lambda c, p: c.GetInstance(p("T_System", Name="x", Number="x")), pywbem.CIM_ERR_INVALID_PARAMETER),
        (lambda c, p: c.GetInstance(p("T_System", Name="x", Number=70000)), pywbem.CIM_ERR_INVALID_PARAMETER),
        (lambda c, p: c.AssociatorNames(p("T_Setting", InstanceID="none")), pywbem.CIM_ERR_NOT_FOUND),
        (lambda c, p: c.AssociatorNames(p("T_Setting", InstanceID="setting 1"), AssocClass="X"),
         pywbem.CIM_ERR_INVALID_PARAMETER),
        (lambda c, p: c.AssociatorNames(p("T_Setting", InstanceID="setting 1"), AssocClass="T_System"),
         pywbem.CIM_ERR_INVALID_PARAMETER),
        (lambda c, p: c.Associators(p("T_Setting", InstanceID="setting 1"), ResultClass="X"),
         pywbem.CIM_ERR_INVALID_PARAMETER),
        (lambda c, p: c.References(p("T_Setting", InstanceID="setting 1"), ResultClass="X"),
         pywbem.CIM_ERR_INVALID_PARAMETER),
        (lambda c, p: c.AssociatorNames(p("Nothing", InstanceID="x")), pywbem.CIM_ERR_INVALID_PARAMETER),
        (lambda c, p: c.OpenReferenceInstances(p("Nothing", InstanceID="x")), pywbem.CIM_ERR_INVALID_PARAMETER),
        (lambda c, p: c.GetQualifier("Nothing"), pywbem.CIM_ERR_NOT_FOUND),
        (lambda c, p: c.ExecQuery("XPath", "//a"), pywbem.CIM_ERR_QUERY_LANGUAGE_NOT_SUPPORTED),
        (lambda c, p: c.ExecQuery("WQL", "SELECT FROM"), pywbem.CIM_ERR_INVALID_QUERY),
    ],
)  # fmt: skip
def test_errors_of_reads(client, ask, status):
    with pytest.raises(pywbem.CIMError) as caught:
        ask(client, lambda class_name, **keys: pywbem.CIMInstanceName(class_name, keys))
    assert caught.value.status_code == status
    assert caught.value.status_description
    assert len(client.EnumerateInstances("T_System")) == 3


def test_classes(client):
    assert client.EnumerateClassNames() == ["T_Element", "T_Link", "T_Event"]
    assert "T_SubSystem" in client.EnumerateClassNames(ClassName="T_Element", DeepInheritance=True)
    assert [each.classname for each in client.EnumerateClasses(ClassName="T_System")] == ["T_SubSystem"]
    found = client.GetClass("t_subsystem", LocalOnly=False)
    assert found.superclass == "T_System"
    assert {"Caption", "Extra"} <= set(found.properties)
    assert client.GetQualifier("description").name == "Description"
    assert client.GetQualifier("Key").scopes["PROPERTY"] is True
    assert {"Key", "Abstract"} <= {each.name for each in client.EnumerateQualifiers()}


def test_associations_of_classes(client):
    assert [path.classname for path in client.AssociatorNames("T_SubSystem")] == ["T_Element", "T_Setting"]
    assert [path.classname for path in client.AssociatorNames("T_SubSystem", AssocClass="T_SettingOf")] == ["T_Setting"]
    assert [path.classname for path, _ in client.Associators("T_Setting", ResultClass="T_System")] == ["T_System"]
    assert [path.classname for path in client.ReferenceNames("T_System")] == ["T_Link", "T_SettingOf"]
    assert [each.classname for _, each in client.References("T_System", Role="dependent")] == ["T_Link"]
    with pytest.raises(pywbem.CIMError) as caught:
        client.ReferenceNames("Nothing")
    assert caught.value.status_code == pywbem.CIM_ERR_INVALID_PARAMETER


def test_queries(client):
    found = client.ExecQuery("WQL", "SELECT Number FROM T_System WHERE Number > 1")
    assert [each["Number"] for each in found] == [2, 3]
    assert set(found[0].properties) == {"Number"}
    rows = client.OpenQueryInstances(
        "DMTF:CQL", "SELECT * FROM T_System", ReturnQueryResultClass=True, MaxObjectCount=2
    )
    assert (len(rows.instances), rows.eos, rows.query_result_class.classname) == (2, False, "T_System")
    assert len(client.PullInstances(rows.context, 10).instances) == 1
    filtered = client.OpenEnumerateInstances(
        "T_System", FilterQueryLanguage="DMTF:FQL", FilterQuery="Number = 3", MaxObjectCount=9
    )
    assert [each["Number"] for each in filtered.instances] == [3]


def test_one_request_uses_one_view(server, client):
    server.provider.views = 0
    client.EnumerateInstances("T_Element")
    assert server.provider.views == 1


def test_a_change_is_seen_at_once(server, client, tools):
    assert len(client.EnumerateInstances("T_System")) == 3
    server.provider.put(tools.system(9))
    assert [each["Number"] for each in client.EnumerateInstances("T_System")] == [1, 2, 9, 3]
    server.provider.put(gone=(tools.system(2).name,))
    assert [each["Number"] for each in client.EnumerateInstances("T_System")] == [1, 9, 3]


def test_nothing_is_kept_beyond_the_budget(start, tools):
    server = start(fragment_budget=5000)
    server.provider.put(*(tools.system(number) for number in range(50)))
    client = server.connect()
    for _ in range(3):
        assert len(client.EnumerateInstances("T_System")) == 50
    kept = sum(len(data) for one in server.provider.current.instances("T_System") for data, _ in one.cache.values())
    assert kept <= 5000


def test_many_readers_at_once(server):
    def read(_):
        return len(server.connect().EnumerateInstances("T_System"))

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(read, range(64))) == {3}


def test_a_provider_that_fails_hurts_only_its_own_request(server, client, tools):
    server.provider.put(tools.system(4, Codes="no array"))
    with pytest.raises(pywbem.CIMError) as caught:
        client.EnumerateInstances("T_System")
    assert caught.value.status_code == pywbem.CIM_ERR_FAILED
    assert "array" not in caught.value.status_description
    assert len(client.EnumerateInstances("T_Setting")) == 2
