"""Whatever a client sends, the server answers it as DSP0200 says, and nothing unforeseen happens inside."""

from __future__ import annotations

import pytest
import structlog.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ELEMENTS = (
    *("CIM", "MESSAGE", "SIMPLEREQ", "MULTIREQ", "IMETHODCALL", "METHODCALL", "LOCALNAMESPACEPATH", "NAMESPACE"),
    *("IPARAMVALUE", "PARAMVALUE", "CLASSNAME", "INSTANCENAME", "KEYBINDING", "KEYVALUE", "VALUE", "VALUE.ARRAY"),
    *("VALUE.REFERENCE", "VALUE.NULL", "VALUE.NAMEDINSTANCE", "INSTANCE", "PROPERTY", "PROPERTY.ARRAY", "CLASS"),
    *("LOCALCLASSPATH", "LOCALINSTANCEPATH", "INSTANCEPATH", "QUALIFIER", "QUALIFIER.DECLARATION", "METHOD"),
)
NAMES = st.sampled_from(
    ["", "T_System", "T_Setting", "T_SettingOf", "t_element", "Nothing", "InstanceID", "Name", "Number", "ClassName",
     "InstanceName", "NewInstance", "NewClass", "PropertyList", "Words", "Kind", "Which", "root", "cimv2", "string",
     "uint8", "reference", "1.0", "2.0", "true", "<&>"]
)  # fmt: skip
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["NAME", "CLASSNAME", "TYPE", "VALUETYPE", "ID", "PROTOCOLVERSION", "PARAMTYPE", "SUPERCLASS"]),
    NAMES,
    max_size=3,
)
OPERATIONS = st.sampled_from(
    ["GetInstance", "EnumerateInstances", "CreateInstance", "ModifyInstance", "Associators", "References", "GetClass",
     "CreateClass", "ModifyClass", "SetQualifier", "ExecQuery", "OpenEnumerateInstances", "PullInstancePaths",
     "GetProperty", "SetProperty", "OpenQueryInstances", "Nothing"]
)  # fmt: skip
PARAMETERS = st.sampled_from(
    ["ClassName", "InstanceName", "ObjectName", "NewInstance", "ModifiedInstance", "NewClass", "ModifiedClass",
     "QualifierDeclaration", "PropertyList", "PropertyName", "NewValue", "Query", "QueryLanguage", "FilterQuery",
     "FilterQueryLanguage", "EnumerationContext", "MaxObjectCount", "DeepInheritance", "AssocClass", "Role"]
)  # fmt: skip


def _quote(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def _element(name: str, attributes: dict[str, str], content: list[str]) -> str:
    fields = "".join(f' {key}="{_quote(value)}"' for key, value in attributes.items())
    return f"<{name}{fields}>{''.join(content)}</{name}>"


TREES = st.recursive(
    NAMES.map(_quote),
    lambda inner: st.builds(_element, st.sampled_from(ELEMENTS), ATTRIBUTES, st.lists(inner, max_size=3)),
    max_leaves=12,
)
CALLS = st.tuples(OPERATIONS, st.dictionaries(PARAMETERS, TREES, max_size=4))


@pytest.fixture
def answered(server, tools):
    """Send a body; return the status after checking that the server stayed itself."""

    def run(body: str | bytes, fields: dict[str, str]) -> int:
        with structlog.testing.capture_logs() as entries:
            answer = server.post(body, fields)
        assert answer.status in (200, 400, 501), answer.text
        assert [each for each in entries if each.get("log_level") in ("error", "critical")] == []
        return answer.status

    return run


def several(count: int):
    return settings(max_examples=count, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@several(200)
@given(call=CALLS)
def test_parameters_of_any_form(answered, tools, call):
    name, parameters = call
    content = "".join(f'<IPARAMVALUE NAME="{key}">{value}</IPARAMVALUE>' for key, value in parameters.items())
    answered(tools.intrinsic(name, content), tools.headers(name))


@several(100)
@given(content=TREES)
def test_messages_of_any_form(answered, tools, content):
    answered(tools.envelope(content), tools.headers())


@several(100)
@given(
    content=TREES, target=st.sampled_from(["", '<INSTANCENAME CLASSNAME="T_System"/>', '<CLASSNAME NAME="T_System"/>'])
)
def test_methods_of_any_form(answered, tools, content, target):
    path = '<LOCALNAMESPACEPATH><NAMESPACE NAME="root"/><NAMESPACE NAME="cimv2"/></LOCALNAMESPACEPATH>'
    kind = "LOCALCLASSPATH" if "CLASSNAME NAME" in target else "LOCALINSTANCEPATH"
    parameter = f'<PARAMVALUE NAME="Kind">{content}</PARAMVALUE>'
    call = f'<METHODCALL NAME="Reset"><{kind}>{path}{target}</{kind}>{parameter}</METHODCALL>'
    answered(tools.envelope(f"<SIMPLEREQ>{call}</SIMPLEREQ>"), tools.headers("Reset", "root/cimv2:T_System"))


@several(150)
@given(data=st.data())
def test_damaged_messages(answered, tools, data):
    body = tools.intrinsic(
        "GetInstance",
        '<IPARAMVALUE NAME="InstanceName"><INSTANCENAME CLASSNAME="T_Setting"><KEYBINDING NAME="InstanceID">'
        '<KEYVALUE VALUETYPE="string">setting 1</KEYVALUE></KEYBINDING></INSTANCENAME></IPARAMVALUE>',
    ).encode()
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, min(len(body), start + 40)))
    damage = data.draw(
        st.one_of(st.binary(max_size=20), st.sampled_from([b"", b"<", b"&#0;", b"<!DOCTYPE x>", b"]]>"]))
    )
    answered(body[:start] + damage + body[end:], tools.headers("GetInstance"))
