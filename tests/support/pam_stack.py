"""A PAM stack of a test's own: the system's libpam and modules, with services from a folder instead of /etc/pam.d.

As a program it runs xenapid on it: ``python pam_stack.py FOLDER [option of xenapid ...]``.
"""

from __future__ import annotations

import ctypes
import sys
from ctypes.util import find_library
from pathlib import Path

SERVICE = "login"
PASSWORD = "right"
LOCKED = "locked"
"""A user with the right password, whose account may not be used."""

CHECK = f"""#!/bin/sh
echo "$PAM_TYPE $PAM_SERVICE $PAM_USER ${{PAM_RHOST:-nowhere}} $PAM_TTY" >> "$(dirname "$0")/asked"
case $PAM_TYPE in
    auth) test "$(tr -d '\\0')" = '{PASSWORD}' ;;
    account) test "$PAM_USER" != '{LOCKED}' ;;
esac
"""


def why_not() -> str:
    """Return why there can be no PAM stack here; empty if there can."""
    name = find_library("pam")
    if name is None:
        return "libpam is not installed (Debian: libpam0g)"
    library = ctypes.CDLL(name)
    if not hasattr(library, "pam_start_confdir"):
        return "this libpam reads services from /etc/pam.d only (Linux-PAM before 1.4)"
    if not any(Path("/").glob("usr/lib*/**/security/pam_exec.so")):
        return "pam_exec.so is not installed (Debian: libpam-modules)"
    return ""


def make(folder: Path) -> Path:
    """Make a folder with the services; a script is the judge of passwords and accounts, ``asked`` in it what it saw."""
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "check"
    script.write_text(CHECK)
    script.chmod(0o755)
    service = [
        f"auth sufficient pam_exec.so quiet expose_authtok {script}",
        "auth required pam_deny.so",
        f"account sufficient pam_exec.so quiet {script}",
        "account required pam_deny.so",
    ]
    (folder / SERVICE).write_text("\n".join(service) + "\n")
    (folder / "unix").write_text("auth required pam_unix.so\naccount required pam_unix.so\n")
    (folder / "broken").write_text("auth required pam_no_such_module.so\naccount required pam_permit.so\n")
    return folder


def begin(folder: Path):
    """Return what ``pamela`` is to call to begin, so that libpam reads services from a folder."""
    import pamela

    library = ctypes.CDLL(find_library("pam"))
    library.pam_start_confdir.argtypes = [*pamela.PAM_START.argtypes[:3], ctypes.c_char_p, pamela.PAM_START.argtypes[3]]

    def start(service, user, conversation, handle):
        return library.pam_start_confdir(service, user, conversation, str(folder).encode(), handle)

    return start


if __name__ == "__main__":
    import pamela

    from xen_tools.xenapid import main

    pamela.PAM_START = begin(Path(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
