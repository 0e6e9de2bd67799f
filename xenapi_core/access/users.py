"""Users: what a door that asks for passwords has to know of those who come."""

from __future__ import annotations

from typing import Protocol

from xenapi_core.datamodel.roles import Role


class UsersError(Exception):
    """Passwords cannot be checked. The text is a sentence for whoever runs the server."""


class User(Protocol):
    """A user. One who is no longer equal to whom a session was begun for has changed in what matters."""

    @property
    def name(self) -> str:
        """The name, as those write it who know the user."""

    @property
    def role(self) -> Role | None:
        """What the user may do; None if only a subject can tell."""


class Users(Protocol):
    """Those who know passwords. The methods take a while (not on the event loop) and raise UsersError."""

    at_a_time: int
    """How many passwords may be checked at a time."""

    def verify(self, name: str, password: str, address: str = "") -> User | None:
        """Return the user of a name and password, None if there is none. ``address`` is where the user comes from."""

    def current(self, name: str) -> User | None:
        """Return what is known now of a user who was verified before."""

    def find(self, name: str) -> User | None:
        """Return the user of a name, None if there is none."""
