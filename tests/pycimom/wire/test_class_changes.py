"""Classes and qualifiers that clients create, change and delete, with pywbem."""

from __future__ import annotations

import pytest
import pywbem
import structlog.testing
from pywbem import CIMClass, CIMProperty, CIMQualifier, CIMQualifierDeclaration, Uint32


@pytest.fixture
def client(server):
    """A connection whose namespace is one of its own, with the qualifier Key."""
    server.server.broker.repository.create_namespace("root/mine")
    connection = server.connect()
    key = connection.GetQualifier("Key")
    connection.default_namespace = "root/mine"
    connection.SetQualifier(key)
    return connection


def thing(**others: CIMProperty) -> CIMClass:
    key = CIMProperty("Id", None, "string", qualifiers={"Key": CIMQualifier("Key", True, overridable=False)})
    return CIMClass("M_Thing", {"Id": key, **others})


def test_a_class_lives_and_goes(client):
    client.CreateClass(thing())
    client.CreateClass(CIMClass("M_Below", {"Level": CIMProperty("Level", Uint32(3))}, superclass="M_Thing"))
    assert set(client.GetClass("M_Below", LocalOnly=False).properties) == {"Id", "Level"}
    assert set(client.GetClass("M_Below", LocalOnly=True).properties) == {"Level"}
    client.ModifyClass(thing(Colour=CIMProperty("Colour", None, "string")))
    assert set(client.GetClass("M_Below", LocalOnly=False).properties) == {"Id", "Level", "Colour"}
    assert (
        client.GetClass("M_Below", LocalOnly=False, IncludeClassOrigin=True).properties["Colour"].class_origin
        == "M_Thing"
    )
    with pytest.raises(pywbem.CIMError) as caught:
        client.DeleteClass("M_Thing")
    assert caught.value.status_code == pywbem.CIM_ERR_CLASS_HAS_CHILDREN
    client.DeleteClass("M_Below")
    client.DeleteClass("M_Thing")
    assert client.EnumerateClassNames() == []


def test_a_qualifier_lives_and_goes(client):
    client.SetQualifier(CIMQualifierDeclaration("Mine", "string", value="x", scopes={"CLASS": True}))
    assert client.GetQualifier("mine").value == "x"
    client.SetQualifier(CIMQualifierDeclaration("Mine", "string", value="y", scopes={"CLASS": True}))
    assert client.GetQualifier("Mine").value == "y"
    client.DeleteQualifier("Mine")
    with pytest.raises(pywbem.CIMError) as caught:
        client.DeleteQualifier("Mine")
    assert caught.value.status_code == pywbem.CIM_ERR_NOT_FOUND


def test_all_of_it_is_audited(client):
    with structlog.testing.capture_logs() as entries:
        client.CreateClass(thing())
        client.ModifyClass(thing())
        client.DeleteClass("M_Thing")
        client.SetQualifier(CIMQualifierDeclaration("Mine", "boolean", scopes={"CLASS": True}))
        client.DeleteQualifier("Mine")
        with pytest.raises(pywbem.CIMError):
            client.DeleteClass("M_Thing")
    audited = [each for each in entries if each["event"] == "audit"]
    assert [(each["operation"], each["object"], each["outcome"]) for each in audited] == [
        ("CreateClass", "root/mine:M_Thing", "ok"),
        ("ModifyClass", "root/mine:M_Thing", "ok"),
        ("DeleteClass", "root/mine:M_Thing", "ok"),
        ("SetQualifier", "root/mine:Mine", "ok"),
        ("DeleteQualifier", "root/mine:Mine", "ok"),
        ("DeleteClass", "root/mine:M_Thing", "NOT_FOUND"),
    ]
