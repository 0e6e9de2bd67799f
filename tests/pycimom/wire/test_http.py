"""CIM-XML over HTTP as DSP0200 has it, with raw requests."""

from __future__ import annotations

import gzip
import http.client

import pytest
from lxml import etree

LIST = '<IPARAMVALUE NAME="ClassName"><CLASSNAME NAME="T_System"/></IPARAMVALUE>'


@pytest.fixture
def ask(server, tools):
    """Send an EnumerateInstanceNames with changes to its headers (None: left out) or another body."""

    def run(body=None, method="POST", **changes):
        fields = {**tools.headers(), **{name.replace("_", "-"): value for name, value in changes.items()}}
        return server.post(
            body if body is not None else tools.intrinsic("EnumerateInstanceNames", LIST), fields, method
        )

    return run


def test_an_answer(ask):
    answer = ask()
    assert answer.status == 200
    assert answer.getheader("CIMOperation") == "MethodResponse"
    assert answer.getheader("Content-Type") == 'application/xml; charset="utf-8"'
    assert answer.getheader("Cache-Control") == "no-cache"
    assert int(answer.getheader("WBEMServerResponseTime")) > 0
    message = etree.fromstring(answer.text.encode())[0]
    assert message.get("ID") == "a&b"
    assert len(message.findall(".//INSTANCENAME")) == 3


@pytest.mark.parametrize(
    ("changes", "status", "cim_error"),
    [
        ({"CIMOperation": None}, 400, None),
        ({"CIMOperation": "methodcall"}, 200, None),
        ({"CIMOperation": "MethodRequest"}, 400, "unsupported-operation"),
        ({"CIMMethod": None}, 400, "header-mismatch"),
        ({"CIMMethod": ""}, 400, "header-mismatch"),
        ({"CIMMethod": "GetInstance"}, 400, "header-mismatch"),
        ({"CIMMethod": "Enumerate%49nstanceNames"}, 200, None),
        ({"CIMMethod": "EnumerateInstanceName%"}, 400, "header-mismatch"),
        ({"CIMObject": None}, 400, "header-mismatch"),
        ({"CIMObject": ""}, 400, "header-mismatch"),
        ({"CIMObject": "root/other"}, 400, "header-mismatch"),
        ({"CIMObject": "root%2Fcimv2"}, 200, None),
        ({"CIMObject": "Root/CIMv2"}, 200, None),
        ({"CIMObject": "root%2xcimv2"}, 400, "header-mismatch"),
        ({"CIMProtocolVersion": "1.0"}, 200, None),
        ({"CIMProtocolVersion": "1.4"}, 400, "header-mismatch"),
        ({"CIMBatch": ""}, 501, "multiple-requests-unsupported"),
        ({"Content-Type": "text/xml"}, 200, None),
        ({"Content-Type": "application/xml; charset=UTF-8"}, 200, None),
        ({"Content-Type": "application/json"}, 415, None),
        ({"Content-Type": "application/xml; charset=utf-16"}, 415, None),
        ({"Accept": "text/html"}, 406, None),
        ({"Accept": "text/html, */*;q=0.1"}, 200, None),
    ],
)
def test_headers(ask, changes, status, cim_error):
    answer = ask(**changes)
    assert (answer.status, answer.getheader("CIMError")) == (status, cim_error)
    assert answer.text


def test_a_header_given_twice(server, tools):
    body = tools.intrinsic("EnumerateInstanceNames", LIST)
    for name, expected in (("CIMOperation", "unsupported-operation"), ("CIMMethod", "header-mismatch")):
        fields = [*tools.headers().items(), (name, tools.headers()[name])]
        answer = server.post(body, fields)
        assert (answer.status, answer.getheader("CIMError")) == (400, expected)


@pytest.mark.parametrize(
    ("body", "status", "cim_error"),
    [
        ("", 400, "request-not-well-formed"),
        ("<CIM", 400, "request-not-well-formed"),
        ("\x00\x01", 400, "request-not-well-formed"),
        ("<OTHER/>", 400, "request-not-valid"),
        ('<!DOCTYPE CIM [<!ENTITY a "b">]><CIM CIMVERSION="2.0" DTDVERSION="2.0">&a;</CIM>', 400, "request-not-valid"),
        ('<CIM CIMVERSION="2.0"/>', 400, "request-not-valid"),
        ('<CIM CIMVERSION="2.0" DTDVERSION="2.0"/>', 400, "request-not-valid"),
    ],
)
def test_bodies_that_are_no_requests(ask, body, status, cim_error):
    answer = ask(body)
    assert (answer.status, answer.getheader("CIMError")) == (status, cim_error)
    assert ask().status == 200


@pytest.mark.parametrize(
    ("versions", "cim_error"),
    [
        ({"cim": "3.0"}, "unsupported-cim-version"),
        ({"dtd": "1.0"}, "unsupported-dtd-version"),
        ({"protocol": "2.0"}, "unsupported-protocol-version"),
    ],
)
def test_versions(ask, tools, versions, cim_error):
    answer = ask(tools.envelope("<SIMPLEREQ/>", **versions))
    assert (answer.status, answer.getheader("CIMError")) == (501, cim_error)


@pytest.mark.parametrize(
    ("content", "cim_error"),
    [
        ("", "request-not-valid"),
        ("<SIMPLEREQ/>", "request-not-valid"),
        ("<MULTIREQ><SIMPLEREQ/><SIMPLEREQ/></MULTIREQ>", "header-mismatch"),
        ("<SIMPLEREQ><IMETHODCALL/></SIMPLEREQ>", "request-not-valid"),
        ("<SIMPLEREQ><IMETHODCALL NAME='x'/></SIMPLEREQ>", "request-not-valid"),
        ("<SIMPLEREQ><IMETHODCALL NAME='x'><LOCALNAMESPACEPATH/></IMETHODCALL></SIMPLEREQ>", "request-not-valid"),
        ("<SIMPLEREQ><METHODCALL NAME='x'><LOCALCLASSPATH/></METHODCALL></SIMPLEREQ>", "request-not-valid"),
        ("<SIMPLEREQ><EXPMETHODCALL NAME='x'/></SIMPLEREQ>", "request-not-valid"),
        ("<A>" * 100 + "</A>" * 100, "request-not-valid"),
        ("<A>" * 300 + "</A>" * 300, "request-not-well-formed"),
    ],
)
def test_messages_that_are_not_valid(ask, tools, content, cim_error):
    answer = ask(tools.envelope(content))
    assert (answer.status, answer.getheader("CIMError")) == (400, cim_error)


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ("", "4"),
        (LIST + '<IPARAMVALUE NAME="Colour"><VALUE>red</VALUE></IPARAMVALUE>', "4"),
        ('<IPARAMVALUE NAME="ClassName"><VALUE>T_System</VALUE></IPARAMVALUE>', "4"),
        ('<IPARAMVALUE NAME="ClassName"/>', "4"),
    ],
)
def test_parameters_that_are_not_right(ask, tools, parameters, status):
    answer = ask(tools.intrinsic("EnumerateInstanceNames", parameters))
    assert answer.status == 200
    assert etree.fromstring(answer.text.encode()).find(".//ERROR").get("CODE") == status


def test_white_space_around_values(server, tools):
    name = (
        '<IPARAMVALUE NAME="InstanceName"><INSTANCENAME CLASSNAME="T_System">\n'
        '<KEYBINDING NAME="Number">\n<KEYVALUE VALUETYPE="numeric"> 2\n</KEYVALUE>\n</KEYBINDING>\n'
        '<KEYBINDING NAME="Name"><KEYVALUE>&lt;system> &amp; "2"</KEYVALUE></KEYBINDING></INSTANCENAME></IPARAMVALUE>'
    )
    answer = server.post(tools.intrinsic("GetInstance", name), tools.headers("GetInstance"))
    found = etree.fromstring(answer.text.encode())
    assert found.find(".//PROPERTY[@NAME='Number']/VALUE").text == "2", answer.text


def test_m_post(ask, server, tools):
    fields = {f"73-{name}": value for name, value in tools.headers().items()}
    extension = "http://www.dmtf.org/cim/mapping/http/v1.0"
    answer = server.post(
        tools.intrinsic("EnumerateInstanceNames", LIST), {**fields, "Man": f"{extension} ; ns=73"}, "M-POST"
    )
    assert answer.status == 200
    assert answer.getheader("73-CIMOperation") == "MethodResponse"
    assert answer.getheader("Ext") == ""
    assert answer.getheader("Man") == f"{extension}; ns=73"
    assert ask(method="M-POST").status == 510


@pytest.mark.parametrize(("method", "status"), [("GET", 405), ("PUT", 405), ("BREW", 501)])
def test_other_methods(ask, method, status):
    answer = ask("", method=method)
    assert answer.status == status
    assert "M-POST" in answer.getheader("Allow")


def test_options(ask):
    answer = ask("", method="OPTIONS", Authorization=None)
    assert answer.status == 200
    assert answer.getheader("Opt") == "http://www.dmtf.org/cim/mapping/http/v1.0; ns=77"
    assert "association-traversal" in answer.getheader("77-CIMSupportedFunctionalGroups")


def test_wrong_users_get_one_and_the_same_answer(ask, tools):
    wrong = [
        None, "", "Basic", "Basic !!!", "Basic b2xnYQ==", "Digest x", tools.basic("olga", "wrong"),
        tools.basic("nobody", ""), tools.basic("olga", ""),
    ]  # fmt: skip
    answers = [ask("<no xml", Authorization=each) for each in wrong]
    assert {each.status for each in answers} == {401}
    assert len({each.text for each in answers}) == 1
    assert {each.getheader("WWW-Authenticate") for each in answers} == {'Basic realm="pycimom"'}
    assert ask().status == 200


def test_users_who_cannot_be_checked(ask, tools):
    answer = ask(Authorization=tools.basic("nobody can know", "x"))
    assert answer.status == 503
    assert "does not answer" in answer.text


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ('root/cimv2:T_System.Name="<system> & \\"1\\"",Number=1', 200),
        ('root/cimv2:t_system.NUMBER=1,name="<system> & \\"1\\""', 200),
        ("root%2Fcimv2%3AT_System.Number%3D1%2CName%3D%22%3Csystem%3E%20%26%20%5C%221%5C%22%22", 200),
        ('root/cimv2:T_System.Name="other",Number=1', 400),
        ('root/cimv2:T_System.Name="<system> & \\"1\\""', 400),
        ("root/cimv2:T_System", 400),
        ("root/cimv2", 400),
        ('root/cimv2:T_System.Name="<system> & \\"1\\"",Number=1,', 400),
    ],
)
def test_the_object_of_a_method(server, tools, header, status):
    path = (
        '<LOCALNAMESPACEPATH><NAMESPACE NAME="root"/><NAMESPACE NAME="cimv2"/></LOCALNAMESPACEPATH>'
        '<INSTANCENAME CLASSNAME="T_System"><KEYBINDING NAME="Name"><KEYVALUE VALUETYPE="string">'
        '&lt;system&gt; &amp; "1"</KEYVALUE></KEYBINDING><KEYBINDING NAME="Number">'
        '<KEYVALUE VALUETYPE="numeric">1</KEYVALUE></KEYBINDING></INSTANCENAME>'
    )
    call = f'<METHODCALL NAME="Reset"><LOCALINSTANCEPATH>{path}</LOCALINSTANCEPATH></METHODCALL>'
    answer = server.post(tools.envelope(f"<SIMPLEREQ>{call}</SIMPLEREQ>"), tools.headers("Reset", header))
    assert answer.status == status
    assert ("RETURNVALUE" in answer.text) == (status == 200)


def test_a_large_message(ask, tools):
    names = "".join(f"<VALUE>{'x' * 100}{number}</VALUE>" for number in range(2000))
    body = tools.intrinsic(
        "EnumerateInstances", f'{LIST}<IPARAMVALUE NAME="PropertyList"><VALUE.ARRAY>{names}</VALUE.ARRAY></IPARAMVALUE>'
    )
    answer = ask(body, CIMMethod="EnumerateInstances")
    assert answer.status == 200
    assert answer.text.count("<INSTANCE ") == 3


@pytest.mark.parametrize("tag", ["IPARAMVALUE", "KEYBINDING"])
def test_names_given_twice(ask, tools, tag):
    twice = "".join(f'<{tag} NAME="{name}"><KEYVALUE>1</KEYVALUE></{tag}>' for name in ("InstanceID", "instanceid"))
    if tag == "KEYBINDING":
        name = f'<INSTANCENAME CLASSNAME="T_Setting">{twice}</INSTANCENAME>'
        answer = ask(
            tools.intrinsic("GetInstance", f'<IPARAMVALUE NAME="InstanceName">{name}</IPARAMVALUE>'),
            CIMMethod="GetInstance",
        )
        assert 'CODE="4"' in answer.text
    else:
        assert ask(tools.intrinsic("EnumerateInstanceNames", twice)).getheader("CIMError") == "request-not-valid"


@pytest.mark.parametrize(
    ("gzip_is_on", "accepted", "compressed"),
    [
        (False, "gzip", False),
        (True, "gzip, deflate", True),
        (True, "*", True),
        (True, "deflate", False),
        (True, "gzip;q=0", False),
        (True, None, False),
    ],
)
def test_answers_are_compressed_only_if_both_sides_want_it(start, tools, gzip_is_on, accepted, compressed):
    server = start(gzip=gzip_is_on)
    server.provider.put(*(tools.system(number) for number in range(20)))
    fields = {
        **tools.headers("EnumerateInstances"),
        "Authorization": tools.basic(tools.user, tools.password),
        "Content-Type": "application/xml",
    }
    if accepted is not None:
        fields["Accept-Encoding"] = accepted
    body = tools.intrinsic(
        "EnumerateInstances", '<IPARAMVALUE NAME="ClassName"><CLASSNAME NAME="T_System"/></IPARAMVALUE>'
    )
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.putrequest("POST", "/cimom", skip_accept_encoding=True)
    for name, value in {**fields, "Content-Length": str(len(body))}.items():
        connection.putheader(name, value)
    connection.endheaders(body.encode())
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    assert (answer.getheader("Content-Encoding") == "gzip") is compressed
    text = (gzip.decompress(data) if compressed else data).decode()
    assert text.count("<VALUE.NAMEDINSTANCE>") == 20
