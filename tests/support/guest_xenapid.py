"""`xenapid` in a QEMU guest whose power can be cut: what it had not written to its disk by then is gone."""

from __future__ import annotations

import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bridge_process import short_folder
from foreign_clients import program, run
from guest_boot import DISK, GuestBoot
from netserve import certificates
from xenapi_core.access.local import set_password

USER, PASSWORD = "writer", "a password for this test"

SETTINGS = f"""
[xenapid]
state = "{DISK}/xenapid"
users = "{DISK}/users"
tls = "{DISK}/tls"

[[xenapid.doors]]
listen = "*:9363"
authentication = "local"
plaintext = true
"""

DAEMON = (sys.executable, "-m", "xen_tools.xenapid")
OPTIONS = ("--config", f"{DISK}/xenapid.toml", "--socket", "/run/api.sock", "--vms", "6")


ACCELERATION = ("-accel", "tcg,tb-size=256", "-cpu", "max")
"""By translation, which is slow and works everywhere. It costs each start of a guest half a minute."""


class GuestXenapid:
    """A guest, its disk, and the way to its Xen-API.

    The disk is written through: it tells the guest that a write is done when the machine has it on its own disk, and no
    sooner, and has no cache that a guest could believe to be kept. So whatever the guest still had in its memory, be it
    acknowledged to a client or not, is lost with it, and a write that is under way is there wholly, in part or not.
    """

    def __init__(self, boot: GuestBoot) -> None:
        self.folder = short_folder()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._boot = boot
        self._process: subprocess.Popen[bytes] | None = None
        self._make_disk()

    def _make_disk(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            contents = Path(name)
            certificates.ensure(contents / "tls")
            set_password(contents / "users", USER, PASSWORD)
            (contents / "xenapid.toml").write_text(SETTINGS)
            (contents / "start").write_text("exec " + shlex.join([*DAEMON, *OPTIONS]) + "\n")
            run(program("mke2fs", "e2fsprogs"), "-q", "-t", "ext4", "-d", contents, self.folder / "disk", "256M")

    @property
    def console(self) -> str:
        """What the guest has printed since it was started last."""
        return (self.folder / "console").read_text(errors="replace")

    def start(self, patience: float = 240.0) -> None:
        """Switch the guest on and wait until its doors are open."""
        command = [
            *(program("qemu-system-x86_64", "qemu-system-x86"), *ACCELERATION, "-smp", "1"),
            *("-m", "768", "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio"),
            *("-kernel", self._boot.kernel, "-initrd", self._boot.initrd),
            *("-append", "console=ttyS0 quiet net.ifnames=0 panic=-1"),
            *("-drive", f"file={self.folder / 'disk'},format=raw,if=virtio,cache=writethrough"),
            *("-virtfs", "local,path=/,mount_tag=machine,security_model=none,readonly=on,multidevs=remap"),
            *("-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self._port}-10.0.2.15:9363"),
            *("-device", "virtio-net-pci,netdev=net,romfile="),
        ]
        with (self.folder / "console").open("wb") as console:
            self._process = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=console, stderr=console
            )
        deadline = time.monotonic() + patience
        while '"doors"' not in self.console:
            assert self._process.poll() is None, f"the guest has ended:\n{self.console[-4000:]}"
            assert time.monotonic() < deadline, f"the guest does not come up:\n{self.console[-4000:]}"
            time.sleep(0.2)

    def cut(self) -> None:
        """Cut the guest's power, whatever it does."""
        assert self._process.poll() is None, f"the guest ended by itself:\n{self.console[-4000:]}"
        self._process.kill()
        self._process.wait(60)

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)
