"""`xen-cim restore`: the pool as it was when a backup was made."""

from __future__ import annotations

import argparse
from pathlib import Path

from xen_tools.backup import add_state, journal
from xen_tools.daemon import folder
from xen_tools.errors import CommandError
from xen_tools.progress import progress
from xenapi_core.datamodel import Datamodel
from xenapi_core.store import JournalError
from xenapi_core.store.backup import restore


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("file", type=folder, metavar="FILE", help="what `xen-cim backup` made")
    add_state(parser)


def main(arguments: argparse.Namespace) -> int:
    """Restore a backup; return the exit code."""
    backup: Path = arguments.file
    try:
        with progress("Copying the pool") as report:
            restored = restore(backup, journal(arguments), Datamodel.load(), report)
    except JournalError as error:
        raise CommandError(str(error)) from error
    print(f"The pool is as it was in {backup} ({restored.objects} objects)")
    if restored.kept is not None:
        print(f"What it was before is kept: {restored.kept}")
    return 0
