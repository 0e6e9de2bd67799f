"""A CIM server with a provider made for tests, on a small schema of its own."""

from __future__ import annotations

import asyncio
import base64
import http.client
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pywbem
import pywbem_mock
from lxml import etree

from cim_provider import (
    CimError,
    ClassDeclaration,
    Indication,
    Instance,
    InstanceName,
    MethodResult,
    Principal,
    Provider,
    Status,
)
from netserve.doors import Door
from pycimom.repository import Repository
from pycimom.server import CimServer, Registration, Settings
from pycimom.static import StaticView, declare

USER, PASSWORD = "olga", "s3cret:with:colons"
NAMESPACE = "root/cimv2"

MOF = """
Qualifier Abstract : boolean = false, Scope(class, association, indication), Flavor(EnableOverride, Restricted);
Qualifier Association : boolean = false, Scope(association), Flavor(DisableOverride, ToSubclass);
Qualifier Indication : boolean = false, Scope(class, indication), Flavor(DisableOverride, ToSubclass);
Qualifier Key : boolean = false, Scope(property, reference), Flavor(DisableOverride, ToSubclass);
Qualifier Description : string = null, Scope(any), Flavor(EnableOverride, ToSubclass, Translatable);
Qualifier In : boolean = true, Scope(parameter), Flavor(DisableOverride, ToSubclass);
Qualifier Out : boolean = false, Scope(parameter), Flavor(DisableOverride, ToSubclass);
Qualifier EmbeddedInstance : string = null, Scope(property, parameter, method), Flavor(EnableOverride, ToSubclass);
Qualifier EmbeddedObject : boolean = false, Scope(property, parameter, method), Flavor(DisableOverride, ToSubclass);
Qualifier Override : string = null, Scope(property, reference, method), Flavor(EnableOverride, Restricted);

[Abstract] class T_Element { string Caption; string Description; };
class T_Setting : T_Element { [Key] string InstanceID; uint32 Level = 3; };
class T_System : T_Element {
    [Key] string Name;
    [Key] uint16 Number;
    boolean Flag; sint8 S8; sint64 S64; uint64 U64; real32 R32; real64 R64; char16 Letter;
    datetime Since; datetime Uptime;
    string Words[]; uint16 Codes[]; boolean Flags[];
    [EmbeddedInstance("T_Setting")] string Setting;
    [EmbeddedInstance("T_Setting")] string Settings[];
    uint32 Reset([In] uint16 Kind, [In] string Words[], [In] T_Setting REF Which,
                 [In, EmbeddedInstance("T_Setting")] string Embedded,
                 [In(false), Out] T_Setting REF Job, [In(false), Out] string Echo);
    uint32 Fail();
};
class T_SubSystem : T_System { string Extra; };
class T_Lonely : T_Element { [Key] string Id; };
[Association] class T_Link { [Key] T_Element REF Antecedent; [Key] T_Element REF Dependent; };
[Association] class T_SettingOf : T_Link {
    [Override("Antecedent")] T_System REF Antecedent;
    [Override("Dependent")] T_Setting REF Dependent;
    boolean Is_Current;
};
[Indication] class T_Event { string Text; [EmbeddedObject] string Source; };
[Indication] class T_SubEvent : T_Event { };
"""


@pytest.fixture(scope="session")
def compiled() -> tuple[list[str], list[str], list[str]]:
    """The names of the classes of MOF, superclasses first, their CLASS elements, and the qualifier declarations."""
    compiler = pywbem_mock.FakedWBEMConnection(default_namespace=NAMESPACE)
    compiler.compile_mof_string(MOF)
    classes: list[Any] = []
    waiting = compiler.EnumerateClassNames(DeepInheritance=False)
    while waiting:
        name = waiting.pop(0)
        classes.append(compiler.GetClass(name, LocalOnly=False, IncludeQualifiers=True, IncludeClassOrigin=True))
        waiting += compiler.EnumerateClassNames(ClassName=name, DeepInheritance=False)
    return (
        [each.classname for each in classes],
        [each.tocimxmlstr() for each in classes],
        [each.tocimxmlstr() for each in compiler.EnumerateQualifiers()],
    )


def repository_of(compiled: tuple[list[str], list[str], list[str]]) -> Repository:
    names, classes, qualifiers = compiled
    return Repository.of_elements(
        [etree.fromstring(each) for each in classes],
        [etree.fromstring(each) for each in qualifiers],
        {NAMESPACE: names, "root/empty": []},
    )


@pytest.fixture
def schema(compiled: tuple[list[str], list[str], list[str]]) -> Repository:
    """The classes of MOF in root/cimv2, and an empty namespace; tests may change them."""
    return repository_of(compiled)


@pytest.fixture(scope="session")
def fixed_schema(compiled: tuple[list[str], list[str], list[str]]) -> Repository:
    """The same, for tests that change nothing."""
    return repository_of(compiled)


def named(class_name: str, keys: dict[str, Any], **others: Any) -> Instance:
    """An instance and its name."""
    return Instance(class_name, {**keys, **others}, InstanceName(class_name, tuple(keys.items())))


def setting(number: int) -> Instance:
    return named("T_Setting", {"InstanceID": f"setting {number}"}, Level=number)


def system(number: int, class_name: str = "T_System", **others: Any) -> Instance:
    return named(class_name, {"Name": f'<system> & "{number}"', "Number": number}, Caption="é\r\n\t ", **others)


def link(one: Instance, other: Instance, **others: Any) -> Instance:
    return named("T_SettingOf", {"Antecedent": one.name, "Dependent": other.name}, **others)


FULL = system(
    1,
    Flag=True,
    S8=-128,
    S64=-(2**63),
    U64=2**64 - 1,
    R32=1.5,
    R64=0.1,
    Letter="x",
    Since=datetime(2026, 2, 28, 23, 59, 58, 123456, UTC),
    Uptime=timedelta(days=3, hours=4, minutes=5, seconds=6, microseconds=7),
    Words=["a", "", None, "<b>"],
    Codes=[0, 65535],
    Flags=[True, False],
    Setting=Instance("T_Setting", {"InstanceID": "in & side", "Level": 9}),
)


@dataclass(eq=False)
class TestProvider(Provider):
    """Holds instances in memory, and does what its methods are told."""

    __test__ = False
    schema: Repository
    current: StaticView = field(default_factory=StaticView)
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    sinks: list[Callable[[Indication], None]] = field(default_factory=list)
    views: int = 0

    @property
    def declarations(self) -> dict[str, ClassDeclaration]:
        names = ("T_Setting", "T_System", "T_SubSystem", "T_SettingOf", "T_Event", "T_SubEvent")
        return {name: declare(self.schema.get(NAMESPACE, name)) for name in names}

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        return None

    def put(self, *instances: Instance, gone: tuple[InstanceName, ...] = ()) -> None:
        self.current = self.current.replaced(instances, gone)

    def view(self) -> StaticView:
        self.views += 1
        return self.current

    async def create_instance(self, context: Any, instance: Instance) -> InstanceName:
        self.calls.append(("create", context.principal.name, dict(instance.properties)))
        made = named(instance.class_name, {"InstanceID": instance.get("InstanceID")}, Level=instance.get("Level"))
        self.put(made)
        return made.name

    async def modify_instance(self, context: Any, name: InstanceName, changes: Any, property_list: Any) -> None:
        self.calls.append(("modify", name.identity, dict(changes), property_list))

    async def delete_instance(self, context: Any, name: InstanceName) -> None:
        self.put(gone=(name,))

    async def invoke_method(self, context: Any, target: InstanceName, method: str, inputs: Any) -> MethodResult:
        self.calls.append(("invoke", target, method, dict(inputs)))
        if method == "Fail":
            raise RuntimeError("an inner secret")
        if inputs.get("Kind") == 99:
            raise CimError(Status.ACCESS_DENIED, "Not this kind.")
        return MethodResult(4096, {"Job": setting(1).name, "Echo": "<echo>"})

    def watch(self, classes: Any, sink: Callable[[Indication], None]) -> Callable[[], None]:
        self.sinks.append(sink)
        return lambda: self.sinks.remove(sink)


class TestAuthenticator:
    """Knows USER, and counts who asks."""

    __test__ = False

    def __init__(self) -> None:
        self.asked = 0

    async def authenticate(self, user: str, password: str) -> Principal:
        self.asked += 1
        if user == "nobody can know":
            raise CimError(Status.FAILED, "The Xen-API does not answer.")
        if user not in (USER, "otto", "reader") or password != PASSWORD:
            raise CimError(Status.ACCESS_DENIED, "No.")
        return Principal(user, may_administer=user != "reader")


class Running:
    """A CIM server on a loop of its own, so that blocking clients can be used as they are."""

    def __init__(self, schema: Repository, may_wait: bool = False, **settings: Any) -> None:
        self.provider = TestProvider(schema)
        self.authenticator = TestAuthenticator()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        made = Settings(schema, (Door("http"),), host="cim.example", **settings)
        self.server = CimServer(made, (Registration(self.provider, (NAMESPACE,), may_wait),), self.authenticator)
        self.run(self.server.start())

    def run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    def call(self, function: Callable[[], Any]) -> Any:
        """Call a function on the loop."""

        async def run() -> Any:
            return function()

        return self.run(run())

    def stop(self) -> None:
        self.run(self.server.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    @property
    def port(self) -> int:
        return self.server.doors[0].port

    def connect(self, user: str = USER, password: str = PASSWORD, **options: Any) -> pywbem.WBEMConnection:
        return pywbem.WBEMConnection(f"http://127.0.0.1:{self.port}", (user, password), NAMESPACE, **options)

    def post(self, body: str | bytes, headers: dict[str, str] | list[tuple[str, str]], method: str = "POST") -> Any:
        """Send a raw request with the right user and Content-Type, unless the headers say otherwise."""
        fields = list(headers.items()) if isinstance(headers, dict) else headers
        given = {name.lower() for name, _ in fields}
        if "authorization" not in given:
            fields = [*fields, ("Authorization", basic(USER, PASSWORD))]
        if "content-type" not in given:
            fields = [*fields, ("Content-Type", 'application/xml; charset="utf-8"')]
        body = body.encode() if isinstance(body, str) else body
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.putrequest(method, "/cimom", skip_accept_encoding=True)
            for name, value in fields:
                if value is not None:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            answer.text = answer.read().decode()
            return answer
        finally:
            connection.close()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def intrinsic(name: str, parameters: str = "", namespace: str = NAMESPACE) -> str:
    """An intrinsic request."""
    path = "".join(f'<NAMESPACE NAME="{part}"/>' for part in namespace.split("/"))
    return envelope(
        f'<SIMPLEREQ><IMETHODCALL NAME="{name}"><LOCALNAMESPACEPATH>{path}</LOCALNAMESPACEPATH>'
        f"{parameters}</IMETHODCALL></SIMPLEREQ>"
    )


def envelope(content: str, protocol: str = "1.0", cim: str = "2.0", dtd: str = "2.0") -> str:
    return (
        f'<?xml version="1.0"?><CIM CIMVERSION="{cim}" DTDVERSION="{dtd}">'
        f'<MESSAGE ID="a&amp;b" PROTOCOLVERSION="{protocol}">{content}</MESSAGE></CIM>'
    )


def headers(method: str = "EnumerateInstanceNames", object_: str = NAMESPACE) -> dict[str, str]:
    return {"CIMOperation": "MethodCall", "CIMMethod": method, "CIMObject": object_}


@dataclass(frozen=True)
class Tools:
    """What tests build requests and instances with."""

    intrinsic: Callable[..., str] = intrinsic
    envelope: Callable[..., str] = envelope
    headers: Callable[..., dict[str, str]] = headers
    basic: Callable[[str, str], str] = basic
    named: Callable[..., Instance] = named
    system: Callable[..., Instance] = system
    setting: Callable[..., Instance] = setting
    link: Callable[..., Instance] = link
    full: Instance = FULL
    user: str = USER
    password: str = PASSWORD
    namespace: str = NAMESPACE


@pytest.fixture(scope="session")
def tools() -> Tools:
    return Tools()


@pytest.fixture
def start(schema: Repository) -> Iterator[Callable[..., Running]]:
    """Start servers with given settings; they are stopped after the test."""
    servers: list[Running] = []

    def run(**settings: Any) -> Running:
        servers.append(Running(schema, **settings))
        return servers[-1]

    yield run
    for each in servers:
        each.stop()


@pytest.fixture
def server(start: Callable[..., Running]) -> Running:
    """A server with three systems, two settings, and links between them."""
    running = start()
    one, two, three = FULL, system(2), system(3, "T_SubSystem", Extra="more")
    settings = setting(1), setting(2)
    running.provider.put(
        one,
        two,
        three,
        *settings,
        link(one, settings[0], Is_Current=True),
        link(three, settings[1]),
        link(three, settings[0]),
    )
    return running


@pytest.fixture
def client(server: Running) -> pywbem.WBEMConnection:
    return server.connect()
