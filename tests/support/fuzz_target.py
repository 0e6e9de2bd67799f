"""One target for atheris, as a process: the name of the target, then libFuzzer's own options."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import atheris
from lxml import etree

PARSERS = [
    "pycimom",
    "pywbem._mof_compiler",
    "ply",
    "xenapi_core.wire",
    "xenapi_core.datamodel",
    "xen_tools",
    "tomllib",
]

with atheris.instrument_imports(include=PARSERS):
    from cim_provider import CimError
    from pycimom.cimxml.requests import BadMessageError, parse_call
    from pycimom.mof_compiler import Compilation
    from pycimom.mof_source import MofError, MofText
    from pycimom.query import compile_filter, compile_query
    from pycimom.repository import NamespaceClasses, Repository
    from xen_tools.configuration import toml, xend
    from xen_tools.configuration.files import section
    from xen_tools.configuration.problems import SettingsError
    from xenapi_core.datamodel import Datamodel, filters
    from xenapi_core.datamodel.types import MismatchError, Type
    from xenapi_core.wire import jsonrpc, xmlrpc
    from xenapi_core.wire.codec import Incoming, MalformedError

NAMESPACE = "root/cimv2"
DECLARED = (
    '<CLASS NAME="Item"><PROPERTY NAME="Number" TYPE="uint32"/><PROPERTY NAME="Name" TYPE="string"/>'
    '<PROPERTY NAME="Since" TYPE="datetime"/><PROPERTY.ARRAY NAME="Codes" TYPE="uint16"/></CLASS>'
)


def classes() -> NamespaceClasses:
    repository = Repository((), {}, {NAMESPACE: ()})
    repository.create_class(NAMESPACE, etree.fromstring(DECLARED))
    return NamespaceClasses(repository, NAMESPACE)


KNOWN = classes()


def text_of(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")


def try_mof(data: bytes) -> None:
    try:
        Compilation().compile(MofText("fuzzed.mof", text_of(data)))
    except MofError as error:
        if not error.line:
            raise


def try_query(language: str) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        try:
            compile_query(text_of(data), language, KNOWN)
        except CimError:
            return

    return run


def try_filter(data: bytes) -> None:
    try:
        compile_filter(text_of(data), "DMTF:FQL", KNOWN, "Item")
    except CimError:
        return


def try_message(data: bytes) -> None:
    try:
        parse_call(data)
    except BadMessageError:
        return


class Anything:
    """Knows every object and every field."""

    def reference(self, cls: str, text: str) -> str:
        return text

    def record(self, cls: str, members: Mapping[str, Any]) -> Mapping[str, Any]:
        return members


MODEL = Datamodel.load()
TYPES: dict[str, Type] = {
    parameter.type.name: parameter.type for message in MODEL.messages.values() for parameter in message.parameters
}
FIELDS = MODEL.classes["VM"].fields


def understand(incoming: Iterable[Incoming | MalformedError]) -> None:
    """Take each parameter for a value of each type that a message has."""
    for call in incoming:
        for value in call.parameters if isinstance(call, Incoming) else ():
            for kind in TYPES.values():
                try:
                    kind.accept(value, Anything())
                except MismatchError:
                    continue


def try_xmlrpc(data: bytes) -> None:
    try:
        understand([xmlrpc.decode(data)])
    except MalformedError:
        return


def try_jsonrpc(data: bytes) -> None:
    try:
        found = jsonrpc.decode(data)
    except MalformedError:
        return
    understand(call for _, call in (found if isinstance(found, list) else [found]))


def try_where(data: bytes) -> None:
    try:
        filters.parse(text_of(data), FIELDS)
    except filters.FilterError:
        return


def try_settings(read: Callable[[str], Any]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        try:
            read(text_of(data))
        except SettingsError as error:
            if not error.problems:
                raise

    return run


TARGETS: dict[str, Callable[[bytes], Any]] = {
    "mof": try_mof,
    "wql": try_query("WQL"),
    "cql": try_query("DMTF:CQL"),
    "fql": try_filter,
    "cim-xml": try_message,
    "xml-rpc": try_xmlrpc,
    "json-rpc": try_jsonrpc,
    "get_all_records_where": try_where,
    "settings of xenapid": try_settings(lambda text: toml.parse(text, "fuzzed.toml", "xenapid", section("xenapid"))),
    "settings of pycimom": try_settings(lambda text: toml.parse(text, "fuzzed.toml", "pycimom", section("pycimom"))),
    "settings of xend": try_settings(lambda text: xend.doors(text, "fuzzed.sxp")),
}

if __name__ == "__main__":
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
