"""xend's settings, /etc/xen/xend-config.sxp: its list xen-api-server, read as it stands; the rest of it is ignored.

An entry is ``(LISTEN [AUTH [ALLOWED-HOSTS [KEY CERTIFICATE]]])``. As in 2007, a port without a host listens at all
addresses; unlike then, a missing AUTH means pam, as xend's manual said.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xen_tools.configuration.declaration import dotted, read
from xen_tools.configuration.doors import duplicates
from xen_tools.configuration.problems import Problem, SettingsError
from xen_tools.configuration.sxp import Atom, List, Node, SxpError, parse
from xen_tools.configuration.toml import LARGEST
from xen_tools.configuration.xenapid import XenApiDoor
from xenapi_core.access.sessions import PAM

SETTING = "xen-api-server"
DEFAULT = "((unix))"
"""The list of a file that has none."""
FOLDER = Path("/etc/xen")
"""Where the names of keys and certificates begin that are no absolute paths."""
PARTS = ("listen", "authentication", "allowed_hosts", "key", "certificate")


def doors(text: str, file: str) -> tuple[XenApiDoor, ...]:
    """Return the doors that xend's settings ask for; SettingsError has all that is wrong with the list."""
    problems: list[Problem] = []
    if len(text) > LARGEST:
        raise SettingsError([Problem(file, None, "", f"The file has more than {LARGEST} characters.")])
    try:
        entries = _entries(parse(text), file)
    except SxpError as error:
        raise SettingsError([Problem(file, error.line, "", str(error))]) from error
    found = [_door(entry, number, file, problems) for number, entry in enumerate(entries, 1)]
    opened = tuple(each for each in found if each is not None)
    problems += [Problem(file, None, SETTING, sentence) for _, sentence in duplicates(opened)]
    if problems:
        raise SettingsError(problems)
    return opened


def _entries(nodes: list[Node], file: str) -> tuple[Node, ...]:
    for node in nodes:
        if isinstance(node, List) and node.items and isinstance(node.items[0], Atom) and node.items[0].text == SETTING:
            match node.items[1:]:
                case [List(items=entries)]:
                    return entries
            sentence = "has to be followed by a list of entries, as in ((9363 pam) (unix none))."
            raise SettingsError([Problem(file, node.line, SETTING, sentence)])
    return _entries(parse(f"({SETTING} {DEFAULT})"), file)


def _door(entry: Node, number: int, file: str, problems: list[Problem]) -> XenApiDoor | None:
    def report(where: tuple[str | int, ...], sentence: str) -> None:
        name = f"{SETTING}, entry {number}"
        problems.append(Problem(file, entry.line, f"{name}: {dotted(where)}" if where else name, sentence))

    words = [each.text for each in entry.items if isinstance(each, Atom)] if isinstance(entry, List) else []
    if not isinstance(entry, List) or len(words) != len(entry.items) or not 1 <= len(words) <= len(PARTS):
        report((), "has to be a list of one to five words: LISTEN AUTH ALLOWED-HOSTS KEY CERTIFICATE.")
        return None
    return read(XenApiDoor, _as_table(words), report)


def _as_table(words: list[str]) -> dict[str, Any]:
    """Return an entry as a table of TOML would say it."""
    given = {name: word for name, word in zip(PARTS, words, strict=False) if word}
    port = given.get("listen", "").removeprefix(":")
    table: dict[str, Any] = {"authentication": PAM, "plaintext": True, **given}
    table["listen"] = f"*:{port}" if port.isdigit() else given.get("listen", "")
    table["allowed_hosts"] = given.get("allowed_hosts", "").split()
    for name in ("key", "certificate"):
        if name in given:
            table[name] = str(FOLDER / given[name])
    return table
