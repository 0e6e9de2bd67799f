"""Values of wrong types in every parameter of both protocols: each is refused by name, and nothing breaks inside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import pywbem

from configured_daemon import PASSWORD, USER
from pycimom.intrinsic import INTRINSIC
from strangers import Server, exchange
from xenapi_core.datamodel import Datamodel
from xenapi_core.datamodel.types import DATETIME, STRING, Enum, Map, RecordType, Reference, Set, Structure, Type

MESSAGES = Datamodel.load().messages
BATCH = 100
NOBODY = "OpaqueRef:nobody"
ELSEWHERE = ("HANDLE_INVALID", "PERMISSION_DENIED")
"""Errors of references that lead nowhere, of which some classes have no others here, or to another's session."""
STRUCTURES: list[Any] = [{"a": {"b": []}}, [["a"]]]
TEXTS: list[Any] = ["", "a word", "\x00", "9" * 5000, 1e300, -1, True]


def wrong(kind: Type) -> list[Any]:
    """Values that a type cannot mean."""
    match kind:
        case Set(of=inner):
            return [*TEXTS[:5], {"a": 1}, *([value] for value in wrong(inner))]
        case Map(value=inner):
            return [*TEXTS[:5], ["a"], *({"a": value} for value in wrong(inner))]
        case RecordType() | Structure():
            return [*TEXTS, ["a"]]
        case Reference():
            return [*STRUCTURES, *filter(None, TEXTS)]
        case Enum():
            return [*STRUCTURES, *TEXTS[1:5], -1]
    texts = {STRING: [], DATETIME: TEXTS}.get(kind, TEXTS[:4])
    return [*STRUCTURES, *texts]


def right(kind: Type, objects: dict[str, str]) -> Any:
    """A value of a type; of a reference one of these objects by class, if there is one."""
    match kind:
        case Set():
            return []
        case Map() | RecordType() | Structure():
            return {}
        case Reference(cls=cls):
            return objects.get(cls, NOBODY)
        case Enum(python=words):
            return next(iter(words))
    return "20240102T03:04:05Z" if kind is DATETIME else kind.zero()


class Wire:
    """Sends calls by the hundred, in JSON-RPC."""

    def __init__(self, server: Server) -> None:
        self._server = server
        (answer,) = self.errors([("session.login_with_password", [USER, PASSWORD])])
        self.session = answer

    def objects(self) -> dict[str, str]:
        """Return an object of each class that has some."""
        classes = [method.partition(".")[0] for method in MESSAGES if method.endswith(".get_all")]
        found = self.errors([(f"{cls}.get_all", [self.session]) for cls in classes])
        return {cls: refs[0] for cls, refs in zip(classes, found, strict=True) if refs} | {"session": self.session}

    def errors(self, calls: list[tuple[str, list[Any]]]) -> list[Any]:
        """Return each call's result, or its error's code and parameters."""
        found: list[Any] = []
        for start in range(0, len(calls), BATCH):
            batch = [
                {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
                for number, (method, parameters) in enumerate(calls[start : start + BATCH])
            ]
            body = exchange(self._server.address, self._server.post(json.dumps(batch).encode(), target="/jsonrpc"))
            for answer in json.loads(body.partition(b"\r\n\r\n")[2]):
                error = answer.get("error")
                found.append([error["message"], *error["data"]] if error else answer["result"])
        return found


def mistakes(session: str, objects: dict[str, str]) -> Iterator[tuple[str, list[Any], str]]:
    """Each message with a wrong value in each of its parameters: the method, the parameters, the parameter's name."""
    for method, message in MESSAGES.items():
        if not message.session:
            continue
        values = [right(parameter.type, objects) for parameter in message.parameters]
        for position, parameter in enumerate(message.parameters):
            for value in wrong(parameter.type):
                yield method, [session, *values[:position], value, *values[position + 1 :]], parameter.name


@pytest.mark.parametrize("name", ["xenapid"])
def test_parameters_of_the_xen_api(server: Server):
    wire = Wire(server)
    every = list(mistakes(wire.session, wire.objects()))
    answers = wire.errors([(method, parameters) for method, parameters, _ in every])
    assert {method for method, _, _ in every} > {"VM.start", "event.from", "host.get_all_records_where"}
    unexpected = [
        (method, parameters[1:], answer)
        for (method, parameters, name), answer in zip(every, answers, strict=True)
        if not isinstance(answer, list) or answer[:2] != ["INVALID_VALUE", name]
        if not isinstance(answer, list) or answer[0] not in ELSEWHERE
    ]
    assert unexpected == []
    named = sum(answer[0] == "INVALID_VALUE" for answer in answers)
    assert named > len(answers) // 3
    assert server.errors() == []


WRONG = {
    "VALUE": "<VALUE>neither here nor there</VALUE>",
    "VALUE.ARRAY": "<VALUE.ARRAY><VALUE.NULL/><VALUE>x</VALUE></VALUE.ARRAY>",
    "VALUE.REFERENCE": '<VALUE.REFERENCE><CLASSNAME NAME="Xen_Job"/></VALUE.REFERENCE>',
    "CLASSNAME": '<CLASSNAME NAME="Nothing"/>',
    "INSTANCENAME": '<INSTANCENAME CLASSNAME="Nothing"><KEYVALUE VALUETYPE="numeric">x</KEYVALUE></INSTANCENAME>',
    "INSTANCE": '<INSTANCE CLASSNAME="Nothing"><PROPERTY NAME="A" TYPE="uint8"><VALUE>-1</VALUE></PROPERTY></INSTANCE>',
    "CLASS": '<CLASS NAME="A"/>',
    "QUALIFIER.DECLARATION": '<QUALIFIER.DECLARATION NAME="A" TYPE="klingon"/>',
}
RIGHT = {
    "ClassName": '<CLASSNAME NAME="Xen_ComputerSystem"/>',
    "InstanceName": '<INSTANCENAME CLASSNAME="Xen_ComputerSystem"><KEYBINDING NAME="Name"><KEYVALUE>x</KEYVALUE>'
    '</KEYBINDING><KEYBINDING NAME="CreationClassName"><KEYVALUE>Xen_ComputerSystem</KEYVALUE></KEYBINDING>'
    "</INSTANCENAME>",
    "NewInstance": '<INSTANCE CLASSNAME="Xen_ComputerSystem"/>',
    "NewClass": '<CLASS NAME="A_B"/>',
    "QualifierDeclaration": '<QUALIFIER.DECLARATION NAME="A" TYPE="string"/>',
}
RIGHT["ObjectName"] = RIGHT["InstanceName"]
RIGHT["ModifiedClass"] = RIGHT["NewClass"]
"""What is right for a parameter, as far as a VALUE is not."""
ANY = {"NewValue"}
"""Parameters whose type depends on another."""


REFUSALS = {pywbem.CIM_ERR_INVALID_PARAMETER, pywbem.CIM_ERR_NOT_SUPPORTED, pywbem.CIM_ERR_METHOD_NOT_AVAILABLE}
REFUSING = {1, 4, 5}
"""Return values of the profiles: not supported, failed, invalid parameter."""


def operations() -> Iterator[tuple[str, str, str]]:
    """Each operation with a wrong element in each of its parameters: operation, parameter, and all of them."""
    for name, operation in INTRINSIC.items():
        required = {
            each.name: RIGHT.get(each.name, "<VALUE>x</VALUE>") for each in operation.parameters if each.required
        }
        for parameter in operation.parameters:
            for tag, element in WRONG.items():
                right = RIGHT.get(parameter.name, "<VALUE")
                if parameter.name not in ANY and not right.startswith(f"<{tag}"):
                    given = {**required, parameter.name: element}
                    yield (
                        name,
                        parameter.name,
                        "".join(f'<IPARAMVALUE NAME="{each}">{value}</IPARAMVALUE>' for each, value in given.items()),
                    )


@pytest.mark.parametrize("name", ["pycimom"])
def test_parameters_of_cim_operations(server: Server):
    """A wrong element is an invalid parameter, or makes the message one that DSP0203 does not know."""
    path = '<LOCALNAMESPACEPATH><NAMESPACE NAME="root"/><NAMESPACE NAME="cimv2"/></LOCALNAMESPACEPATH>'
    unexpected = []
    tried = set()
    for operation, parameter, content in operations():
        tried.add(operation)
        call = f'<IMETHODCALL NAME="{operation}">{path}{content}</IMETHODCALL>'
        fields = [line.replace("EnumerateInstances", operation) for line in server.fields]
        answer = exchange(server.address, [*server.message(call, fields)])
        if b"HTTP/1.1 400" not in answer[:12] and b'<ERROR CODE="4"' not in answer:
            unexpected.append((operation, parameter, content, answer.partition(b"\r\n\r\n")[2]))
    assert tried == {name for name, operation in INTRINSIC.items() if operation.parameters}
    assert unexpected == []
    assert server.errors() == []


def wrong_for(parameter: pywbem.CIMParameter) -> Iterator[Any]:
    """Values that are not of a parameter's type; the reference leads nowhere, where one is right."""
    if parameter.is_array or parameter.type != "string":
        yield "neither here nor there"
    if not parameter.is_array or parameter.type != "uint8":
        yield [pywbem.Uint8(1), pywbem.Uint8(2)]
    yield pywbem.CIMInstanceName("Xen_Nothing")


def methods(connection: pywbem.WBEMConnection) -> Iterator[tuple[pywbem.CIMInstanceName, str, pywbem.CIMParameter]]:
    """Each method of each class that has an instance, with a wrong value in each of its input parameters."""
    for cls in connection.EnumerateClasses(DeepInheritance=True, LocalOnly=False):
        names = connection.EnumerateInstanceNames(cls.classname) if cls.methods else []
        path = next((each for each in names if each.classname == cls.classname), None)
        for method in cls.methods.values() if path else ():
            for parameter in method.parameters.values():
                taken = parameter.qualifiers.get("In")
                for value in wrong_for(parameter) if taken is None or taken.value else ():
                    yield path, method.name, pywbem.CIMParameter(parameter.name, pywbem.cimtype(value), value=value)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pycimom"])
def test_parameters_of_cim_methods(server: Server):
    unexpected = []
    tried = set()
    url = server.daemon.doors[server.door]
    with pywbem.WBEMConnection(url, (USER, PASSWORD), "root/cimv2", timeout=60) as connection:
        for path, method, parameter in methods(connection):
            tried.add(f"{path.classname}.{method}")
            try:
                answer, _ = connection.InvokeMethod(method, path, [parameter])
            except pywbem.CIMError as error:
                answer = None if error.status_code in REFUSALS else error
            if answer is not None and answer not in REFUSING:
                unexpected.append((path.classname, method, parameter, answer))
    assert tried > {"Xen_ComputerSystem.RequestStateChange"}
    assert unexpected == []
    assert server.errors() == []
