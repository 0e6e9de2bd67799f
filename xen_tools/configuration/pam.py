"""PAM in settings: who checks the passwords of the system's users, and what these users may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xen_tools.configuration.declaration import setting
from xen_tools.configuration.kinds import Kind, text
from xenapi_core.access.pam import ROLES, SERVICE, Pam
from xenapi_core.datamodel.roles import Role


def _roles(value: Any) -> tuple[tuple[str, Role], ...]:
    if not isinstance(value, dict):
        raise ValueError
    return tuple((_who(name), Role.named(label)) for name, label in value.items())


def _who(name: str) -> str:
    if not name.removeprefix("%") or not name.isprintable():
        raise ValueError(f"{name!r} is neither a user nor a %group")
    return name


@dataclass(frozen=True, kw_only=True)
class PamSettings:
    """How users of the system are let in at doors with the authentication `pam`."""

    service: str = setting(
        text("a name of a file", r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"),
        "the PAM service that checks passwords and accounts: a file in /etc/pam.d",
        SERVICE,
    )
    roles: tuple[tuple[str, Role], ...] = setting(
        Kind("a table of roles by user, by %group, or for *", _roles),
        "what users may do: `*` is everybody; of several roles the strongest counts; who has none is not let in",
        ROLES,
        shown="`{{ {} }}`".format(", ".join(f'"{name}" = "{role.label}"' for name, role in ROLES)),
    )

    @property
    def chosen(self) -> Pam:
        """The settings as the server takes them."""
        return Pam(self.service, self.roles)
