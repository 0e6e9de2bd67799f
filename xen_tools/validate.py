"""`xen-cim validate`: look at everything that a CIM server shows, and say what breaks the rules."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import partial

import pywbem

from xen_tools.daemon import folder
from xen_tools.errors import CommandError
from xen_tools.progress import Report, progress
from xen_tools.validation import keys, mof, profiles, references
from xen_tools.validation.findings import RULES, Findings
from xen_tools.validation.sampling import Sample
from xen_tools.validation.server import Server

PASSWORD = "XEN_CIM_PASSWORD"  # noqa: S105
LIMIT = 120
"""Seconds that an answer may take."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("url", metavar="URL", help="the server, as https://host:5989")
    parser.add_argument("--user", default=getpass.getuser(), help="user at the server (default: %(default)s)")
    parser.add_argument("--ca", type=folder, metavar="FILE", help="certificates to verify the server with")
    parser.add_argument(
        "--namespace", action="append", metavar="NS", help="one to look at, may be repeated (default: all there are)"
    )
    parser.add_argument(
        "--sample",
        type=_at_least_one,
        metavar="N",
        help="ask one by one for N instances of each class (default: for all of them)",
    )
    parser.add_argument(
        "--cardinalities", action="store_true", help="also count what Min and Max say of associations, as few models do"
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.epilog = (
        f"Asks for the password, or takes it from {PASSWORD}. Nothing is changed at the server. "
        "Exit code: 0 if it keeps all rules, 1 if it breaks one, 2 if it cannot be looked at."
    )


def main(arguments: argparse.Namespace) -> int:
    """Look at a server and tell; return the exit code."""
    begun = time.monotonic()
    server = _look(_connection(arguments), arguments)
    findings = sorted(server.findings.found)
    numbers = {
        "namespaces": len(server.namespaces),
        "classes": sum(len(each.classes) for each in server.namespaces.values()),
        "instances": sum(len(each.by_name) for each in server.namespaces.values()),
        "requests": server.requests,
        "seconds": round(time.monotonic() - begun),
    }
    if arguments.json:
        print(json.dumps({**numbers, "findings": [asdict(each) for each in findings]}, indent=2))
        return 1 if findings else 0
    for each in findings:
        print(f"{each.rule:<20} {each.namespace}:{each.subject}  {each.text}")
    for rule, count in sorted(server.findings.counted().items()):
        print(f"{count:>6} of {rule}: {RULES[rule]}")
    looked_at = "{classes} classes and {instances} instances of {namespaces} namespaces".format(**numbers)
    asked = "{requests} requests, {seconds} s".format(**numbers)
    print(f"{len(findings) or 'No'} violation{'' if len(findings) == 1 else 's'} in {looked_at} ({asked}).")
    return 1 if findings else 0


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it must be at least 1")
    return number


def _connection(arguments: argparse.Namespace) -> pywbem.WBEMConnection:
    password = os.environ.get(PASSWORD) or getpass.getpass(f"Password of {arguments.user}: ")
    try:
        return pywbem.WBEMConnection(
            arguments.url,
            (arguments.user, password),
            "root/cimv2",
            ca_certs=str(arguments.ca) if arguments.ca else None,
            timeout=LIMIT,
        )
    except ValueError as error:
        raise CommandError(f"{arguments.url} is no address of a server: {error}.", code=2) from error


def _look(connection: pywbem.WBEMConnection, arguments: argparse.Namespace) -> Server:
    server = Server(connection, Findings())
    interop, namespaces = server.find_namespaces()
    sample = Sample(arguments.sample)
    with _told(arguments, "Reading") as report:
        server.read(arguments.namespace or namespaces, report)
    steps: list[Callable[[], object]] = []
    for each in server.namespaces.values():
        steps += [
            partial(mof.check_classes, each),
            partial(mof.check_instances, each),
            partial(keys.check_names, each),
            partial(references.check_ends, each),
            partial(keys.check_instances, each, sample),
            references.Traversal(each, sample).check,
        ]
        if arguments.cardinalities:
            steps.append(partial(references.check_cardinalities, each))
    steps.append(partial(profiles.check, server, interop))
    with _told(arguments, "Checking") as report:
        for done, step in enumerate(steps, 1):
            step()
            report(done, len(steps))
    return server


def _told(arguments: argparse.Namespace, title: str) -> AbstractContextManager[Report]:
    """Tell people how far it is, and programs nothing."""
    if arguments.json or not sys.stdout.isatty():
        return nullcontext(lambda done, total: None)
    return progress(title)
