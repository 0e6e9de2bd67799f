"""A real Xen-API server with a small simulated pool."""

from __future__ import annotations

from pathlib import Path

from netserve.doors import Door
from xenapi_core.server import Settings, XenApiServer

PASSWORDS = {"root": "root's password", "operator": "operator's password", "reader": "reader's password"}
KEPT = ("VM", "VBD", "VIF", "VDI", "console", "network", "SR", "PBD", "VLAN", "Bond", "PIF", "pool")
"""The classes of objects that methods make or change."""
PASSING = frozenset(
    {"allowed_operations", "current_operations", "metrics", "last_updated", "MAC", "physical_utilisation"}
)
"""Fields that may differ although nothing is left behind."""


class Pool:
    """A Xen-API server that can be stopped and started again at the same addresses."""

    def __init__(self, folder: Path, users: Path) -> None:
        self.folder = folder
        doors = [
            Door("unix", path=folder / "api.sock", authentication="peer"),
            Door("http", authentication="local"),
            Door("open", authentication="none"),
        ]
        self.settings = Settings(folder / "state", doors, users, hosts=2, vms=8, seed=1)
        self.server: XenApiServer | None = None

    async def start(self) -> None:
        self.server = XenApiServer(self.settings)
        await self.server.start()
        self.settings = Settings(**{**vars(self.settings), "doors": self.server.doors})

    async def stop(self) -> None:
        await self.server.stop()

    def url(self, name: str) -> str:
        return next(door.url for door in self.settings.doors if door.name == name)
