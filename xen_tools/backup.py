"""`xen-cim backup`: a copy of the pool, made while it is in use."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from xen_tools.daemon import folder
from xen_tools.errors import CommandError
from xen_tools.progress import progress
from xen_tools.settings import Settings
from xen_tools.state_folder import StateFolder
from xenapi_core.store import JOURNAL, JournalError
from xenapi_core.store.backup import back_up


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("file", type=folder, metavar="FILE", help="where the copy goes")
    add_state(parser)
    parser.add_argument("--replace", action="store_true", help="replace a file that is there already")


def add_state(parser: argparse.ArgumentParser) -> None:
    """Declare the option that names the journal's folder."""
    parser.add_argument(
        "--state",
        type=folder,
        metavar="FOLDER",
        help="xenapid's setting `state` (default: xenapid in $XEN_CIM_STATE, where `xen-cim run` has it)",
    )


def journal(arguments: argparse.Namespace) -> Path:
    """Return the path of the journal that is meant."""
    state: Path = arguments.state or StateFolder(Settings.read(os.environ).state).state_of("xenapid")
    return state / JOURNAL


def main(arguments: argparse.Namespace) -> int:
    """Make a backup; return the exit code."""
    target: Path = arguments.file
    try:
        with progress("Copying the pool") as report:
            objects = back_up(journal(arguments), target, report, replace=arguments.replace)
    except JournalError as error:
        raise CommandError(str(error)) from error
    print(f"The pool is backed up: {target} ({objects} objects)")
    return 0
