"""The settings of xenapid: the tables [xenapid], [[xenapid.doors]] and [xenapid.limits]."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from netserve.doors import Door, Limits, Tls
from netserve.origins import ANY
from xen_tools.configuration.declaration import Conflicts, setting, table, tables
from xen_tools.configuration.doors import UNIX_OR_ADDRESS, DoorSettings, Listen
from xen_tools.configuration.kinds import ORIGINS, PATH, choice, number, seconds
from xen_tools.configuration.limits import DoorLimits, chosen, received_size
from xen_tools.configuration.pam import PamSettings
from xen_tools.configuration.server import ServerSettings
from xenapi_core import limits as of_calls
from xenapi_core.access.sessions import LOCAL, NONE, PAM, PEER
from xenapi_core.metrics import METRICS
from xenapi_core.scenario import MOST_HOSTS, MOST_VMS

XEND_SOCKET = Path("/var/run/xend/xen-api.sock")


@dataclass(frozen=True, kw_only=True)
class XenApiDoor(DoorSettings):
    """A door of the Xen-API."""

    listen: Listen = setting(UNIX_OR_ADDRESS, "where it listens; `unix` is the `socket`; 0 is any free port")
    authentication: str = setting(
        choice(PAM, LOCAL, NONE),
        "who checks passwords: the system (PAM), the `users` file, or nobody. `none` at a unix socket lets in root and "
        "the daemon's own user; elsewhere it lets in everybody, and opens on loopback only",
        PAM,
    )
    allowed_origins: tuple[str, ...] = setting(
        ORIGINS, "pages of these web sites may call, others get 403; programs that are no browsers are not asked", ()
    )

    def conflicts(self) -> Conflicts:
        """Yield what cannot be."""
        yield from super().conflicts()
        if self.authentication == NONE and not self.is_local:
            yield "authentication", f'has to be "{PAM}" or "{LOCAL}", since other machines can reach this door.'
        if self.authentication == NONE and ANY in self.allowed_origins:
            yield "allowed_origins", "has to name the web sites, since this door asks nobody for a password."

    def warnings(self) -> Iterator[str]:
        """Yield sentences about what may be, but is seldom wanted."""
        yield from super().warnings()
        if self.authentication == NONE and not self.listen.is_unix:
            yield f"The door {self.listen.text} makes everybody on this machine an administrator."

    def door(self, authentication: str, limits: Limits, usual: Path | None, made: Tls) -> Door:
        """Return the door, as any server's, and the web pages that may call there."""
        return replace(super().door(authentication, limits, usual, made), allowed_origins=self.allowed_origins)


@dataclass(frozen=True, kw_only=True)
class XenApiLimits(DoorLimits):
    """What a stranger may send and hold. Those of connections and sizes hold for each door."""

    body_size: int = setting(number(4096, 1 << 26, "bytes"), "longest call; more gets 413", of_calls.DEFAULT.body_size)
    received_size: int = received_size(64 << 20)
    nesting: int = setting(number(4, 64), "how deep the values of a call may be nested", of_calls.DEFAULT.nesting)
    values: int = setting(
        number(100, 10_000_000), "values in one request, at any depth, about", of_calls.DEFAULT.values
    )
    batch: int = setting(number(1, 10_000), "calls in one JSON-RPC request", of_calls.DEFAULT.batch)
    sessions: int = setting(
        number(1, 1_000_000),
        "sessions; one more ends the one that was idle the longest, of the user who has most",
        of_calls.DEFAULT.sessions,
    )
    sessions_per_originator: int = setting(
        number(1, 1_000_000),
        "sessions of one user and originator; one more ends the one that was idle the longest",
        of_calls.DEFAULT.sessions_per_originator,
    )
    session_timeout: float = setting(
        seconds(1, 366 * 86400), "a session without a call for so long ends", of_calls.DEFAULT.session_timeout
    )
    waiting_readers: int = setting(
        number(1, 100_000),
        "calls of event.from and event.next that wait at a time; one more gets TOO_BUSY",
        of_calls.DEFAULT.waiting_readers,
    )
    pending_tasks: int = setting(
        number(1, 100_000),
        "tasks that have not ended; one more gets TOO_MANY_PENDING_TASKS",
        of_calls.DEFAULT.pending_tasks,
    )
    finished_tasks: int = setting(
        number(0, 100_000), "tasks that have ended and are kept; the oldest go", of_calls.DEFAULT.finished_tasks
    )
    waiting_logins: int = setting(
        number(1, 100_000),
        "logins whose passwords are being checked or wait for it; one more is refused",
        of_calls.DEFAULT.waiting_logins,
    )
    failure_delay: float = setting(
        seconds(0, 60),
        "before the login after the first that failed, of a user from an address; doubled with each further one",
        of_calls.DEFAULT.failure_delay,
    )
    longest_failure_delay: float = setting(seconds(0, 60), "at which that ends", of_calls.DEFAULT.longest_failure_delay)


@dataclass(frozen=True, kw_only=True)
class MetricsDoor(DoorSettings):
    """An address with metrics for Prometheus at /metrics, for everybody whom it lets in. Without any, none are kept."""

    in_clear: ClassVar[str] = "metrics"

    def door(self, authentication: str, limits: Limits, usual: Path | None, made: Tls) -> Door:
        """Return the door, under a name that none for calls has."""
        door = super().door(authentication, limits, usual, made)
        return replace(door, name=f"metrics {door.name}")


DEFAULT_DOORS = (
    XenApiDoor(listen=Listen("unix", usual=True), authentication=NONE),
    XenApiDoor(listen=Listen("9363", "127.0.0.1", 9363), authentication=LOCAL),
    XenApiDoor(listen=Listen("9367", "127.0.0.1", 9367), authentication=LOCAL, tls=True),
)


@dataclass(frozen=True, kw_only=True)
class Xenapid(ServerSettings):
    """The Xen-API server."""

    state: Path = setting(PATH, "folder of what must outlive the daemon: the journal", Path("/var/lib/xen-cim/xenapid"))
    users: Path = setting(
        PATH,
        "the users of doors with the authentication `local`: lines name:role:scrypt-hash",
        Path("/etc/xen-cim/users"),
    )
    socket: Path = setting(PATH, "where a door listens that says `unix`", XEND_SOCKET)
    xend_config: Path | None = setting(
        PATH, "xend's settings: its list xen-api-server says which doors there are, instead of `doors`", None, shown=""
    )
    scenario: Path | None = setting(
        PATH, "file that says what the simulated pool is like at the first start", None, shown="the built-in one"
    )
    hosts: int | None = setting(number(1, MOST_HOSTS), "hosts of the simulated pool", None, shown="the scenario's")
    vms: int | None = setting(number(1, MOST_VMS), "its virtual machines", None, shown="the scenario's")
    seed: int | None = setting(
        number(0, 2**63 - 1), "what its uuids and addresses are made from", None, shown="the scenario's"
    )
    pam: PamSettings = table(PamSettings)
    limits: XenApiLimits = table(XenApiLimits)
    doors: Sequence[XenApiDoor] = tables(
        XenApiDoor, DEFAULT_DOORS, "`unix` with `none`; 9363 with `local`; 9367 with `local` and TLS"
    )
    metrics: Sequence[MetricsDoor] = tables(MetricsDoor, (), "none")

    def conflicts(self) -> Conflicts:
        """Yield what cannot be."""
        yield from super().conflicts()
        if self.xend_config is not None and self.doors != DEFAULT_DOORS:
            yield "doors", "cannot be beside xend_config, which says which doors there are."

    @property
    def all_doors(self) -> Sequence[DoorSettings]:
        """Whatever listens: for calls, and for metrics."""
        return (*self.doors, *self.metrics)

    @property
    def socket_path(self) -> Path:
        """Where a door listens that says ``unix``."""
        return self.socket

    def authentication(self, door: DoorSettings) -> str:
        """Return the name of the authentication at a door: a unix socket without passwords trusts its peers by uid."""
        if isinstance(door, MetricsDoor):
            return METRICS
        asked = door.authentication if isinstance(door, XenApiDoor) else PAM
        return PEER if door.listen.is_unix and asked == NONE else asked

    @property
    def call_limits(self) -> of_calls.Limits:
        """The limits of calls."""
        return chosen(of_calls.Limits, self.limits)
