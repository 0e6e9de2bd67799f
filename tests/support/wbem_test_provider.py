"""The classes of namespace test/TestProvider that pywbem's end-to-end tests know from OpenPegasus, and their provider.

Only names, signatures and what the tests check are theirs; the rest is as simple as can be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta

from cim_provider import (
    CimError,
    ClassDeclaration,
    Context,
    Indication,
    Instance,
    InstanceName,
    MethodResult,
    Provider,
    Status,
    Value,
)
from pycimom.mof_install import install_texts
from pycimom.mof_source import MofText
from pycimom.repository import Repository
from pycimom.static import StaticView, declare

NAMESPACE = "test/TestProvider"
INDICATION = "Test_IndicationProviderClass"
CLI = "Test_CLITestProviderClass"
EMBEDDED = "Test_CLITestEmbedded1"
EMBEDDING = "Test_CLITestEmbeddedClass"
STRESS = "TST_ResponseStressTestCxx"
MOF = """
[Indication, Description("What SendTestIndication raises.")]
class Test_IndicationProviderClass : CIM_ProcessIndication {
    string MethodName;
    [Static] uint32 SendTestIndication();
    [Static] uint32 SendTestIndicationsCount([In] uint32 indicationSendCount);
};
class Test_CLITestEmbedded1 { [Key] string Id; string name; uint32 Numbers[]; };
[Description("Has a property of each type.")]
class Test_CLITestProviderClass {
    [Key] string Id;
    boolean scalBool = true; uint8 scalUint8; sint8 scalSint8; uint16 scalUint16; sint16 scalSint16;
    uint32 scalUint32; sint32 scalSint32; uint64 scalUint64; sint64 scalSint64; real32 scalReal32; real64 scalReal64;
    string scalString; datetime scalDateTime; char16 scalChar16;
    boolean arrayBool[]; uint32 arrayUint32[]; sint64 arraySint64[]; real64 arrayReal64[]; string arrayString[];
    datetime arrayDateTime[];
    [EmbeddedInstance("Test_CLITestEmbedded1")] string embedded;
    [Static] uint32 delayedMethodResponse([In, Out] uint32 delayInSeconds);
    [Static] uint32 echoString([In] string InputString, [In(false), Out] string OutputString);
    [Static] uint32 echoEmbedded(
        [In, EmbeddedInstance("Test_CLITestEmbedded1")] string InputObject,
        [In(false), Out, EmbeddedInstance("Test_CLITestEmbedded1")] string OutputObject);
};
class Test_CLITestEmbeddedClass {
    [Key] string Id;
    [EmbeddedInstance("Test_CLITestEmbedded1")] string embeddedInst;
    [EmbeddedInstance("Test_CLITestEmbedded1")] string embeddedInstArray[];
};
[Description("As many instances of a size as its method Set says.")]
class TST_ResponseStressTestCxx {
    [Key] uint64 Id; uint64 SequenceNumber; uint64 ResponseCount; uint64 Size; string S1;
    [Static] uint32 Set([In] uint64 ResponseCount, [In] uint64 Size);
    [Static] uint32 Get([In(false), Out] uint64 ResponseCount, [In(false), Out] uint64 Size);
};
"""
LONGEST_DELAY = 60
"""In seconds."""
NOBODY_LISTENS = 1
"""What a method that raises indications returns if nobody is subscribed to them."""


def add_classes(repository: Repository) -> None:
    """Make the namespace and its classes, with what they need of the DMTF schema."""
    install_texts(repository, NAMESPACE, [MofText("wbem_test_provider.mof", MOF)])


class WbemTestProvider(Provider):
    """Raises indications on request, answers late on request, and echoes what it is given."""

    def __init__(self, repository: Repository) -> None:
        self._declarations = {
            name: declare(repository.get(NAMESPACE, name)) for name in (INDICATION, CLI, EMBEDDED, EMBEDDING, STRESS)
        }
        self._sinks: list[Callable[[Indication], None]] = []
        self._sent = 0
        self._stress = {"ResponseCount": 5, "Size": 100}
        self._view = StaticView.of([_everything(), _embedding(1), _embedding(2)]).replaced(self._stressing())

    @property
    def declarations(self) -> Mapping[str, ClassDeclaration]:
        """All classes of the MOF."""
        return self._declarations

    def view(self) -> StaticView:
        """Return the newest view."""
        return self._view

    async def invoke_method(
        self, context: Context, target: InstanceName, method: str, inputs: Mapping[str, Value]
    ) -> MethodResult:
        """Run a method; there are none that need an instance."""
        match method:
            case "SendTestIndication":
                return self._send(1)
            case "SendTestIndicationsCount":
                return self._send(_number(inputs, "indicationSendCount"))
            case "delayedMethodResponse":
                seconds = _number(inputs, "delayInSeconds", LONGEST_DELAY)
                await asyncio.sleep(seconds)
                return MethodResult(0, {"delayInSeconds": seconds})
            case "echoString":
                return MethodResult(0, {"OutputString": inputs.get("InputString")})
            case "echoEmbedded":
                return MethodResult(0, {"OutputObject": inputs.get("InputObject")})
            case "Set":
                self._stress = {"ResponseCount": _number(inputs, "ResponseCount"), "Size": _number(inputs, "Size")}
                gone = [each.name for each in self._view.instances(STRESS) if each.name is not None]
                self._view = self._view.replaced(self._stressing(), gone)
                return MethodResult(0)
            case "Get":
                return MethodResult(0, dict(self._stress))
        raise CimError(Status.METHOD_NOT_AVAILABLE, f"There is no method {method}.")

    def watch(self, classes: Collection[str], sink: Callable[[Indication], None]) -> Callable[[], None]:
        """Call ``sink`` for each indication; the result ends that."""
        self._sinks.append(sink)
        return lambda: self._sinks.remove(sink)

    def _send(self, count: int) -> MethodResult:
        if not self._sinks:
            return MethodResult(NOBODY_LISTENS)
        for _ in range(count):
            self._sent += 1
            properties: dict[str, Value] = {
                "IndicationIdentifier": f"test-{self._sent}",
                "IndicationTime": datetime.now(UTC),
                "MethodName": "SendTestIndicationsCount",
            }
            for sink in list(self._sinks):
                sink(Indication(Instance(INDICATION, dict(properties))))
        return MethodResult(0)

    def _stressing(self) -> list[Instance]:
        size = self._stress["Size"]
        return [
            _named(STRESS, Id=number, SequenceNumber=number, S1="x" * size, **self._stress)
            for number in range(1, self._stress["ResponseCount"] + 1)
        ]


def _number(inputs: Mapping[str, Value], name: str, most: int = 1_000_000) -> int:
    value = inputs.get(name)
    if not isinstance(value, int) or not 0 <= value <= most:
        raise CimError(Status.INVALID_PARAMETER, f"{name} is between 0 and {most}.")
    return value


def _named(class_name: str, **properties: Value) -> Instance:
    key: Value = properties["Id"]
    assert isinstance(key, str | int)
    return Instance(class_name, properties, InstanceName(class_name, (("Id", key),)))


def _embedded(name: str) -> Instance:
    return Instance(EMBEDDED, {"Id": name, "name": name, "Numbers": [1, 2, 3]})


def _embedding(number: int) -> Instance:
    return _named(
        EMBEDDING,
        Id=f"embedding {number}",
        embeddedInst=_embedded(f"inner {number}"),
        embeddedInstArray=[_embedded("first"), _embedded("second")],
    )


def _everything() -> Instance:
    moment = datetime(2026, 2, 28, 12, 30, 15, 123456, UTC)
    return _named(
        CLI,
        Id="everything",
        scalBool=True,
        scalUint8=2**8 - 1,
        scalSint8=-(2**7),
        scalUint16=2**16 - 1,
        scalSint16=-(2**15),
        scalUint32=2**32 - 1,
        scalSint32=-(2**31),
        scalUint64=2**64 - 1,
        scalSint64=-(2**63),
        scalReal32=1.5,
        scalReal64=-1e300,
        scalString='a <string> & "more"',
        scalDateTime=moment,
        scalChar16="x",
        arrayBool=[True, False],
        arrayUint32=[0, 2**32 - 1],
        arraySint64=[-(2**63), 2**63 - 1],
        arrayReal64=[0.5, -0.25],
        arrayString=["one", "", None],
        arrayDateTime=[moment, timedelta(days=1, seconds=2)],
        embedded=_embedded("within"),
    )
