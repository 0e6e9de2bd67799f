"""`xenapid`: the Xen-API server, as a daemon."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from netserve import certificates
from netserve.doors import Door
from xen_tools import daemon
from xenapi_core.access.local import UsersFileError
from xenapi_core.scenario import ScenarioError
from xenapi_core.server import Settings, SettingsError, XenApiServer
from xenapi_core.store import JournalError

HTTP_PORT, HTTPS_PORT = 9363, 9367


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon; return the exit code."""
    parser = argparse.ArgumentParser(prog="xenapid", description="A Xen-API server on a simulated pool.")
    parser.add_argument("--state", type=daemon.folder, required=True, help="folder of what must outlive the daemon")
    parser.add_argument("--users", type=daemon.folder, required=True, help="file of users: name:role:scrypt-hash")
    parser.add_argument("--tls", type=daemon.folder, required=True, help="folder of key.pem and certificate.pem")
    parser.add_argument("--socket", type=daemon.folder, required=True, help="path of the unix socket")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    parser.add_argument("--http", type=daemon.port, default=HTTP_PORT, metavar="PORT", help="(default: %(default)s)")
    parser.add_argument("--https", type=daemon.port, default=HTTPS_PORT, metavar="PORT", help="(default: %(default)s)")
    parser.add_argument(
        "--scenario", type=daemon.folder, help="file that says what the pool is like at the first start"
    )
    parser.add_argument("--hosts", type=int, help="number of hosts, instead of the scenario's")
    parser.add_argument("--vms", type=int, help="number of virtual machines, instead of the scenario's")
    parser.add_argument("--seed", type=int, help="what uuids and addresses are made from, instead of the scenario's")
    daemon.add_arguments(parser)
    arguments = parser.parse_args(argv)
    known = (JournalError, ScenarioError, SettingsError, UsersFileError)
    return daemon.run("xenapid", lambda: XenApiServer(_settings(arguments)), arguments, known)


def _settings(arguments: argparse.Namespace) -> Settings:
    tls = certificates.ensure(arguments.tls)
    return Settings(
        state=arguments.state,
        doors=[
            Door("xenapi-unix", path=arguments.socket, authentication="peer"),
            Door("xenapi-http", arguments.host, arguments.http, authentication="local"),
            Door("xenapi-https", arguments.host, arguments.https, tls=tls, authentication="local"),
        ],
        users=arguments.users,
        scenario=arguments.scenario,
        hosts=arguments.hosts,
        vms=arguments.vms,
        seed=arguments.seed,
    )


if __name__ == "__main__":
    sys.exit(main())
