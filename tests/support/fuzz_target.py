"""One target for atheris, as a process: the name of the target, then libFuzzer's own options."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import atheris
from lxml import etree

with atheris.instrument_imports(include=["pycimom", "pywbem._mof_compiler", "ply"]):
    from cim_provider import CimError
    from pycimom.cimxml.requests import BadMessageError, parse_call
    from pycimom.mof_compiler import Compilation
    from pycimom.mof_source import MofError, MofText
    from pycimom.query import compile_filter, compile_query
    from pycimom.repository import NamespaceClasses, Repository

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


TARGETS: dict[str, Callable[[bytes], Any]] = {
    "mof": try_mof,
    "wql": try_query("WQL"),
    "cql": try_query("DMTF:CQL"),
    "fql": try_filter,
    "cim-xml": try_message,
}

if __name__ == "__main__":
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
