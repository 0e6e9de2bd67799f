"""`xenapid`: the Xen-API server, as a daemon."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from netserve.doors import Door
from xen_tools import daemon, options
from xen_tools.configuration.problems import SettingsError as FileError
from xen_tools.configuration.xenapid import Xenapid
from xen_tools.options import Told
from xenapi_core.access.local import UsersFileError
from xenapi_core.scenario import ScenarioError
from xenapi_core.server import Settings, SettingsError, XenApiServer
from xenapi_core.store import JournalError

NAMES = ("xenapi-unix", "xenapi-http", "xenapi-https")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="xenapid",
        description="A Xen-API server on a simulated pool.",
        epilog="What is not said has the default that docs/settings.md tells. `xen-cim check-config` checks a file.",
    )
    parser.add_argument("--state", type=daemon.folder, help="folder of what must outlive the daemon")
    parser.add_argument("--users", type=daemon.folder, help="file of users: name:role:scrypt-hash")
    parser.add_argument("--tls", type=daemon.folder, help="folder of key.pem and certificate.pem")
    parser.add_argument("--socket", type=daemon.folder, help="path of the unix socket")
    parser.add_argument(
        "--scenario", type=daemon.folder, help="file that says what the pool is like at the first start"
    )
    parser.add_argument("--hosts", type=int, help="number of hosts, instead of the scenario's")
    parser.add_argument("--vms", type=int, help="number of virtual machines, instead of the scenario's")
    parser.add_argument("--seed", type=int, help="what uuids and addresses are made from, instead of the scenario's")
    options.add_arguments(parser, http=9363, https=9367)
    daemon.add_arguments(parser)
    arguments = options.parse(parser, argv)
    known = (FileError, JournalError, ScenarioError, SettingsError, UsersFileError)
    return daemon.run("xenapid", lambda: _Daemon(arguments), arguments, known)


class _Daemon:
    """The server, and the settings that it was started with."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._told = Told("xenapid", Xenapid, arguments, NAMES)
        settings = self._told.read()
        self._server = XenApiServer(
            Settings(
                state=settings.state,
                doors=self._told.doors(settings),
                users=settings.users,
                pam=settings.pam.chosen,
                scenario=settings.scenario,
                hosts=settings.hosts,
                vms=settings.vms,
                seed=settings.seed,
                limits=settings.call_limits,
            )
        )
        self.start, self.stop, self.failed = self._server.start, self._server.stop, self._server.failed

    @property
    def doors(self) -> Sequence[Door]:
        """The open doors."""
        return self._server.doors

    async def reload(self) -> None:
        """Open the doors that the settings ask for now."""
        await self._told.reload(self._server.reopen)


if __name__ == "__main__":
    sys.exit(main())
