"""`xenapid` as a process of its own that can be killed and started again on the same state folder and ports."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge_process import short_folder
from netserve import certificates
from xenapi_core.access.local import set_password

USER, PASSWORD = "writer", "a password for this test"


@dataclass
class Xenapid:
    """The daemon, its folder, and what it was started with."""

    options: tuple[str, ...] = ("--vms", "6")
    folder: Path = field(default_factory=short_folder)
    doors: dict[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[str] | None = None

    def __post_init__(self) -> None:
        certificates.ensure(self.folder / "tls")
        set_password(self.folder / "users", USER, PASSWORD)

    @property
    def url(self) -> str:
        return self.doors["xenapi-http"]

    @property
    def state(self) -> Path:
        return self.folder / "xenapid"

    @property
    def pid(self) -> int:
        return self._process.pid

    def command(self, *more: str) -> list[str]:
        port = self.doors["xenapi-http"].rpartition(":")[2] if self.doors else "0"
        kept = ["--state", str(self.state), "--users", str(self.folder / "users"), "--tls", str(self.folder / "tls")]
        doors = ["--socket", str(self.folder / "api.sock"), "--http", port, "--https", "0"]
        return [sys.executable, "-m", "xen_tools.xenapid", *kept, *doors, *self.options, *more]

    def start(self, **options: Any) -> None:
        """Start the daemon and wait until its doors are open."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True, **options
            )
        line = self._process.stdout.readline()
        assert line, (self.folder / "log").read_text()[-2000:]
        self.doors = json.loads(line)["doors"]

    def kill(self) -> None:
        """End the daemon with SIGKILL, whatever it does."""
        self.end(signal.SIGKILL)

    def end(self, number: int = signal.SIGTERM) -> int:
        """End the daemon by a signal and return its exit code."""
        self._process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the daemon's end and return its exit code."""
        code = self._process.wait(60)
        self._process.stdout.close()
        return code

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
