"""`xen-cim`: the command that users type; each subcommand is a file of its own."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from xen_tools.errors import CommandError

COMMANDS = {
    "run": "start the whole bridge on a simulated pool, and print how to use it",
    "check-config": "check a settings file, and say which doors it would open",
    "backup": "copy the pool while it is in use",
    "restore": "make the pool what it was when a backup was made",
    "validate": "look at everything that a CIM server shows, and say what breaks the rules",
    "schema": "get and compile the DMTF CIM schema",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the subcommand that is named; return the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="xen-cim", description="The management bridge for Xen.")
    subcommands = parser.add_subparsers(dest="command", required=True, metavar="command")
    named = next((word for word in words if not word.startswith("-")), None)
    for name, help_text in COMMANDS.items():
        subparser = subcommands.add_parser(name, help=help_text, description=f"{help_text[0].upper()}{help_text[1:]}.")
        if name == named:  # others are not imported, so that each command starts quickly
            command = importlib.import_module(f"xen_tools.{name.replace('-', '_')}")
            command.add_arguments(subparser)
    arguments = parser.parse_args(words)
    try:
        return int(command.main(arguments))
    except CommandError as error:
        print(f"xen-cim: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
