"""`pycimom mof compile`: own classes for a CIM server, from MOF files."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pywbem

from pycimom.instance_store import InstanceStore, StoreError, lock_folder
from pycimom.mof_compiler import Compilation
from pycimom.mof_install import install
from pycimom.mof_source import MofError, read_mof
from pycimom.repository_cache import MODEL_NAMESPACE, open_repository
from pycimom.server import STORE
from xen_tools import schema
from xen_tools.daemon import folder
from xen_tools.errors import CommandError
from xen_tools.settings import Settings, cache_folder, schema_file
from xen_tools.state_folder import StateFolder

_EXPLANATION = """\
The files declare classes and qualifiers, in any order and across files. All of it
takes effect or, after the first error, which is told with its file and line,
nothing. A class that is there already is replaced if it has no instances. What the
files need of the DMTF schema is there already in root/cimv2, and is added to the
namespace if the server is stopped.

examples:
  pycimom mof compile shop.mof
      into root/cimv2 of the stopped server of `xen-cim run`
  pycimom mof compile --namespace root/shop --state /var/lib/xen-cim/pycimom *.mof
      into a namespace of its own, made if needed, of another stopped server
  pycimom mof compile --server https://host:5989 --user admin shop.mof
      into a running server; asks for the password, or takes it from PYCIMOM_PASSWORD
"""


def main(argv: Sequence[str]) -> int:
    """Run the subcommand; return the exit code."""
    parser = argparse.ArgumentParser(prog="pycimom mof", description="Work with MOF, the language of CIM classes.")
    subcommands = parser.add_subparsers(required=True, metavar="command")
    compiling = subcommands.add_parser(
        "compile",
        help="add the classes of MOF files to a CIM server",
        description="Add the classes of MOF files to a CIM server, stopped or running.",
        epilog=_EXPLANATION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    compiling.add_argument("files", nargs="+", type=folder, metavar="FILE", help="a file of MOF")
    compiling.add_argument("--namespace", default=MODEL_NAMESPACE, metavar="NS", help="(default: %(default)s)")
    where = compiling.add_mutually_exclusive_group()
    where.add_argument("--state", type=folder, metavar="DIR", help="state folder of a stopped server")
    where.add_argument("--server", metavar="URL", help="a running server")
    compiling.add_argument("--user", default=getpass.getuser(), help="user at the running server")
    compiling.add_argument("--ca", type=folder, help="certificates to verify the running server with")
    arguments = parser.parse_args(argv)
    try:
        names = _online(arguments) if arguments.server else _offline(arguments)
    except (MofError, StoreError, CommandError, OSError) as error:
        print(f"pycimom: {error}", file=sys.stderr)
        return 1
    print(f"Compiled into {arguments.namespace}: {', '.join(names) or 'no classes'}.")
    return 0


def _offline(arguments: argparse.Namespace) -> list[str]:
    state: Path = arguments.state or StateFolder(Settings.read(os.environ).state).state_of("pycimom")
    cache = cache_folder(os.environ)
    archive = schema.obtain(cache, schema_file(os.environ))
    repository = open_repository(archive, schema.model_files(), cache, whole_schema=schema.is_whole(cache))
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = lock_folder(state)
    try:
        store = InstanceStore(state / STORE)
        try:
            store.restore(repository)
            kept = {(space, name) for space in repository.namespaces() for name in store.classes(space)}
            repository.guard(lambda namespace, name: (namespace, name.lower()) in kept)
            return install(repository, arguments.namespace, arguments.files)
        finally:
            store.close()
    finally:
        os.close(lock)


def _online(arguments: argparse.Namespace) -> list[str]:
    password = os.environ.get("PYCIMOM_PASSWORD") or getpass.getpass(f"Password of {arguments.user}: ")
    connection = pywbem.WBEMConnection(
        arguments.server,
        (arguments.user, password),
        arguments.namespace,
        ca_certs=str(arguments.ca) if arguments.ca else None,
    )
    undo: list[Callable[[], object]] = []
    try:
        try:
            return _send(connection, arguments.files, undo)
        except BaseException:
            for step in reversed(undo):
                step()
            raise
    except pywbem.Error as error:
        raise CommandError(f"{arguments.server} does not do this: {error}") from error


def _send(connection: pywbem.WBEMConnection, files: Sequence[Path], undo: list[Callable[[], object]]) -> list[str]:
    """Send what the files declare; ``undo`` gets what takes each step back."""
    known = {each.name.lower(): each for each in connection.EnumerateQualifiers()}
    compilation = Compilation(known.values())
    texts = [read_mof(path) for path in files]
    for text in texts:
        compilation.compile(text)
    for key, qualifier in compilation.qualifiers.items():
        before = known.get(key)
        if before is None or before != qualifier:
            connection.SetQualifier(qualifier)
            undo.append(
                lambda name=qualifier.name, before=before: (  # type: ignore[misc]  # lambdas take no annotations
                    connection.SetQualifier(before) if before is not None else connection.DeleteQualifier(name)
                )
            )
    declared = {each.name.lower(): each for text in texts for each in text.declarations}
    names = []
    for each in compilation.superclasses_first():
        try:
            undo.append(_send_class(connection, each))
        except pywbem.CIMError as error:
            where = declared[each.classname.lower()]
            raise MofError(where.file, where.line, error.status_description or error.status_code_name) from error
        names.append(each.classname)
    return names


def _send_class(connection: pywbem.WBEMConnection, declared: pywbem.CIMClass) -> Callable[[], object]:
    """Create or modify a class, and return what takes that back."""
    try:
        connection.CreateClass(declared)
    except pywbem.CIMError as error:
        if error.status_code != pywbem.CIM_ERR_ALREADY_EXISTS:
            raise
    else:
        return lambda: connection.DeleteClass(declared.classname)
    before = connection.GetClass(declared.classname, LocalOnly=True)
    connection.ModifyClass(declared)
    return lambda: connection.ModifyClass(before)
