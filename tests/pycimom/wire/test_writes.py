"""Creating, changing, deleting, and methods, with pywbem."""

from __future__ import annotations

import pytest
import pywbem
import structlog.testing

from cim_provider import MethodResult


@pytest.fixture
def first(client):
    return client.EnumerateInstanceNames("T_System")[0]


@pytest.fixture
def audited(server):
    """Everything that the audit log says during a test."""
    with structlog.testing.capture_logs() as entries:
        yield lambda: [each for each in entries if each["event"] == "audit"]


def test_create_and_delete(server, client, audited):
    made = client.CreateInstance(pywbem.CIMInstance("t_setting", {"instanceid": "new", "Level": pywbem.Uint32(8)}))
    assert (made.classname, made.keybindings) == ("T_Setting", {"InstanceID": "new"})
    assert server.provider.calls == [("create", "olga", {"InstanceID": "new", "Level": 8})]
    assert client.GetInstance(made)["Level"] == 8
    client.DeleteInstance(made)
    with pytest.raises(pywbem.CIMError) as caught:
        client.DeleteInstance(made)
    assert caught.value.status_code == pywbem.CIM_ERR_NOT_FOUND
    assert [(each["user"], each["operation"], each["outcome"]) for each in audited()] == [
        ("olga", "CreateInstance", "ok"), ("olga", "DeleteInstance", "ok"), ("olga", "DeleteInstance", "NOT_FOUND"),
    ]  # fmt: skip
    assert audited()[0]["object"] == audited()[1]["object"]
    assert audited()[1]["object"] == 'root/cimv2:T_Setting.InstanceID="new"'


def test_modify(server, client, first):
    instance = client.GetInstance(first)
    instance["U64"] = pywbem.Uint64(5)
    instance["Words"] = ["z"]
    instance.path = first
    client.ModifyInstance(instance, PropertyList=["u64", "Words", "Number", "Description"])
    _, _, changes, listed = server.provider.calls[-1]
    assert changes == {"U64": 5, "Words": ["z"], "Description": None}
    assert listed == ["U64", "Words", "Description"]
    client.ModifyInstance(
        pywbem.CIMInstance("T_System", {"Flag": False, "R32": pywbem.CIMProperty("R32", None, "real32")}, path=first)
    )
    assert server.provider.calls[-1][2:] == ({"Flag": False, "R32": None}, None)


def test_a_listed_property_that_is_not_given_gets_its_default(server, client):
    path = pywbem.CIMInstanceName("T_Setting", {"InstanceID": "setting 1"})
    client.ModifyInstance(pywbem.CIMInstance("T_Setting", {}, path=path), PropertyList=["Level", "Caption"])
    assert server.provider.calls[-1][2] == {"Level": 3, "Caption": None}


def test_properties_one_by_one(server, tools):
    name = (
        '<IPARAMVALUE NAME="InstanceName"><INSTANCENAME CLASSNAME="T_Setting"><KEYVALUE>setting 2</KEYVALUE>'
        '</INSTANCENAME></IPARAMVALUE><IPARAMVALUE NAME="PropertyName"><VALUE>level</VALUE></IPARAMVALUE>'
    )

    def ask(method, more=""):
        return server.post(tools.intrinsic(method, name + more), tools.headers(method)).text

    def value(text):
        return f'<IPARAMVALUE NAME="NewValue"><VALUE>{text}</VALUE></IPARAMVALUE>'

    assert "<IRETURNVALUE><VALUE>2</VALUE></IRETURNVALUE>" in ask("GetProperty")
    assert "ERROR" not in ask("SetProperty", value(6))
    assert server.provider.calls[-1][2:] == ({"Level": 6}, ["Level"])
    assert 'CODE="13"' in ask("SetProperty", value("six"))
    assert "ERROR" not in ask("SetProperty")
    assert server.provider.calls[-1][2:] == ({"Level": None}, ["Level"])


def test_a_key_cannot_be_changed(server, client, first):
    changed = pywbem.CIMInstance("T_System", {"Number": pywbem.Uint16(77)})
    changed.path = first.copy()
    with pytest.raises(pywbem.CIMError) as caught:
        client.ModifyInstance(changed)
    assert caught.value.status_code == pywbem.CIM_ERR_INVALID_PARAMETER
    assert "Number" in caught.value.status_description
    assert server.provider.calls == []


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"Unknown": "x"}, pywbem.CIM_ERR_NO_SUCH_PROPERTY),
        ({"U64": "many"}, pywbem.CIM_ERR_TYPE_MISMATCH),
        ({"Codes": pywbem.Uint16(1)}, pywbem.CIM_ERR_TYPE_MISMATCH),
        ({"S8": pywbem.Sint32(128)}, pywbem.CIM_ERR_TYPE_MISMATCH),
        ({"Since": "yesterday"}, pywbem.CIM_ERR_TYPE_MISMATCH),
        ({"Setting": pywbem.CIMInstance("T_Lonely", {"Id": "1"})}, pywbem.CIM_ERR_TYPE_MISMATCH),
    ],
)
def test_modifications_that_are_refused(server, client, first, values, status):
    with pytest.raises(pywbem.CIMError) as caught:
        client.ModifyInstance(pywbem.CIMInstance("T_System", values, path=first))
    assert caught.value.status_code == status
    assert next(iter(values)) in caught.value.status_description
    assert server.provider.calls == []


@pytest.mark.parametrize(
    ("instance", "status"),
    [
        (pywbem.CIMInstance("T_Element"), pywbem.CIM_ERR_INVALID_CLASS),
        (pywbem.CIMInstance("Nothing"), pywbem.CIM_ERR_INVALID_CLASS),
        (pywbem.CIMInstance("T_Lonely", {"Id": "1"}), pywbem.CIM_ERR_NOT_SUPPORTED),
        (pywbem.CIMInstance("T_Setting", {"InstanceID": "1", "Colour": "red"}), pywbem.CIM_ERR_INVALID_PARAMETER),
    ],
)
def test_instances_that_cannot_be_made(client, instance, status):
    with pytest.raises(pywbem.CIMError) as caught:
        client.CreateInstance(instance)
    assert caught.value.status_code == status


def test_a_method_gets_what_its_class_declares(server, client, first, audited):
    reference = pywbem.CIMInstanceName("T_Setting", {"InstanceID": "setting 1"}, namespace="root/cimv2")
    embedded = pywbem.CIMInstance("T_Setting", {"InstanceID": "e", "Level": pywbem.Uint32(4)})
    value, outputs = client.InvokeMethod(
        "reset", first, kind=pywbem.Uint16(2), words=["a", "b"], which=reference, embedded=embedded
    )
    assert value == 4096
    assert outputs["Echo"] == "<echo>"
    assert outputs["Job"].keybindings == {"InstanceID": "setting 1"}
    _, target, method, inputs = server.provider.calls[-1]
    assert (target.get("Number"), method) == (1, "Reset")
    assert inputs["Kind"] == 2
    assert inputs["Words"] == ["a", "b"]
    assert (inputs["Which"].class_name, inputs["Which"].namespace) == ("T_Setting", "root/cimv2")
    assert dict(inputs["Embedded"].properties) == {"InstanceID": "e", "Level": 4}
    assert [(each["operation"], each["outcome"]) for each in audited()] == [("reset", "ok")]


def test_parameters_of_methods_come_in_declared_order(server, client, first, tools):
    called = []

    def invoke(context, target, method, inputs):
        called.append(list(inputs))
        return MethodResult(0, {"echo": "e", "Job": tools.setting(1).name})

    server.provider.invoke_method = invoke
    _, outputs = client.InvokeMethod("Reset", first, [("words", ["a"]), ("KIND", pywbem.Uint16(1))])
    assert called == [["Kind", "Words"]]
    assert list(outputs) == ["Job", "Echo"]


def test_a_method_of_a_class(server, client):
    assert client.InvokeMethod("Reset", "T_System")[0] == 4096
    assert server.provider.calls[-1][1].keys == ()


def test_parameters_as_clients_in_use_write_them(client, server, first):
    client.InvokeMethod("Reset", first, Words="one", Which='T_Setting.InstanceID="setting 1"')
    inputs = server.provider.calls[-1][3]
    assert inputs == {"Words": ["one"], "Which": 'T_Setting.InstanceID="setting 1"'}
    client.InvokeMethod("Reset", first, Which=pywbem.CIMInstance("T_Setting", {"InstanceID": "setting 2"}))
    embedded = server.provider.calls[-1][3]["Which"]
    assert (embedded.class_name, embedded.get("InstanceID")) == ("T_Setting", "setting 2")


@pytest.mark.parametrize(
    ("method", "parameters", "status", "said"),
    [
        ("Nothing", {}, pywbem.CIM_ERR_METHOD_NOT_FOUND, "Nothing"),
        ("Reset", {"Colour": "red"}, pywbem.CIM_ERR_INVALID_PARAMETER, "Colour"),
        ("Reset", {"Job": "x"}, pywbem.CIM_ERR_INVALID_PARAMETER, "Job"),
        ("Reset", {"Kind": "many"}, pywbem.CIM_ERR_INVALID_PARAMETER, "Kind"),
        ("Reset", {"Kind": pywbem.Uint32(70000)}, pywbem.CIM_ERR_INVALID_PARAMETER, "Kind"),
        ("Reset", {"Words": pywbem.CIMInstanceName("T_Setting", {})}, pywbem.CIM_ERR_INVALID_PARAMETER, "Words"),
        ("Reset", {"Kind": [pywbem.Uint16(1)]}, pywbem.CIM_ERR_INVALID_PARAMETER, "Kind"),
        ("Reset", {"Which": [pywbem.CIMInstanceName("T_Setting", {})]}, pywbem.CIM_ERR_INVALID_PARAMETER, "Which"),
        ("Reset", {"Embedded": "<INSTANCE"}, pywbem.CIM_ERR_INVALID_PARAMETER, "Embedded"),
        ("Reset", {"Kind": pywbem.Uint16(99)}, pywbem.CIM_ERR_ACCESS_DENIED, "Not this kind."),
        ("Fail", {}, pywbem.CIM_ERR_FAILED, "log"),
    ],
)
def test_methods_that_fail(client, first, method, parameters, status, said):
    with pytest.raises(pywbem.CIMError) as caught:
        client.InvokeMethod(method, first, **parameters)
    assert caught.value.status_code == status
    assert said in caught.value.status_description
    assert "secret" not in caught.value.status_description


def test_methods_without_a_target(client):
    for target, status in (
        (pywbem.CIMInstanceName("T_System", {"Name": "x", "Number": pywbem.Uint16(1)}), pywbem.CIM_ERR_NOT_FOUND),
        ("Nothing", pywbem.CIM_ERR_NOT_FOUND),
    ):
        for method in ("Reset", "Nothing"):
            with pytest.raises(pywbem.CIMError) as caught:
                client.InvokeMethod(method, target)
            assert caught.value.status_code == status


GONE = pywbem.CIMInstanceName("T_Setting", {"InstanceID": "gone"})


@pytest.mark.parametrize(
    ("ask", "status"),
    [
        # There is no such instance, and ...
        (lambda c: c.ModifyInstance(pywbem.CIMInstance("T_Setting", {"No": True}, path=GONE)), "NOT_FOUND"),
        (lambda c: c.ModifyInstance(pywbem.CIMInstance("T_Setting", {"Level": "x"}, path=GONE)), "NOT_FOUND"),
        (lambda c: c.ModifyInstance(pywbem.CIMInstance("T_Setting", {}, path=GONE), PropertyList=["No"]), "NOT_FOUND"),
        (lambda c: c.ModifyInstance(pywbem.CIMInstance("T_System", {}, path=GONE)), "INVALID_PARAMETER"),
        (lambda c: c.InvokeMethod("Nothing", GONE), "NOT_FOUND"),
        # There is no such namespace, and ...
        (lambda c: c.CreateInstance(pywbem.CIMInstance("No_Class"), namespace="no/where"), "INVALID_NAMESPACE"),
        (lambda c: c.EnumerateInstances("No_Class", namespace="no/where"), "INVALID_NAMESPACE"),
    ],
)
def test_of_two_errors_the_first_in_the_list_of_dsp0200_is_told(client, ask, status):
    with pytest.raises(pywbem.CIMError) as caught:
        ask(client)
    assert caught.value.status_code_name == f"CIM_ERR_{status}"


@pytest.mark.parametrize(
    ("operation", "user", "code"), [("Nothing", "olga", 7), ("DeleteClass", "reader", 2), ("DeleteClass", "olga", 3)]
)
def test_what_nobody_may_is_told_before_the_namespace_is_looked_at(server, tools, operation, user, code):
    class_name = '<IPARAMVALUE NAME="ClassName"><CLASSNAME NAME="No_Class"/></IPARAMVALUE>'
    headers = tools.headers(operation, "no/where") | {"Authorization": tools.basic(user, tools.password)}
    answer = server.post(tools.intrinsic(operation, class_name, "no/where"), headers)
    assert f'<ERROR CODE="{code}"' in answer.text


@pytest.mark.parametrize("method", ["GetProperty", "SetProperty"])
def test_no_property_of_an_instance_that_is_gone(server, tools, method):
    parameters = (
        '<IPARAMVALUE NAME="InstanceName"><INSTANCENAME CLASSNAME="T_Setting"><KEYVALUE>gone</KEYVALUE></INSTANCENAME>'
        '</IPARAMVALUE><IPARAMVALUE NAME="PropertyName"><VALUE>No</VALUE></IPARAMVALUE>'
    )
    assert '<ERROR CODE="6"' in server.post(tools.intrinsic(method, parameters), tools.headers(method)).text
