"""What a QEMU guest boots: Debian's kernel, and an initial file system that mounts the machine's own files read-only.

So what runs in the guest is the same Python, packages and checkout as the test's, and nothing is installed in it. The
kernel and busybox come from packages that are fetched and unpacked into the cache once, as any user.
"""

from __future__ import annotations

import lzma
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from foreign_clients import cache, program, run

KERNEL = "linux-image-amd64"
"""Not Debian's kernel for clouds: that one has no 9p, by which a guest sees the machine's files."""

MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "ext4", "crc32c_generic", "9pnet_virtio", "9p")

DISK = "/run/disk"
"""Where the guest has its disk; the program ``start`` on it is what the guest does."""

INIT = f"""#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=/run
cd /modules && for module in $(busybox cat order); do busybox insmod $module; done
busybox mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=512000 machine /machine
cd /machine
busybox mount -t proc proc proc
busybox mount -t sysfs sys sys
busybox mount -t devtmpfs dev dev
busybox mount -t tmpfs run run
busybox mkdir -p .{DISK}
until [ -b dev/vda ] && [ -e sys/class/net/eth0 ]; do busybox sleep 0.1; done
busybox mount -t ext4 dev/vda .{DISK}
busybox ip link set lo up
busybox ip addr add 10.0.2.15/24 dev eth0
busybox ip link set eth0 up
busybox ip route add default via 10.0.2.2
busybox chroot /machine /bin/sh {DISK}/start
echo "the program has ended ($?)"
busybox poweroff -f
"""


@dataclass(frozen=True)
class GuestBoot:
    """The files that QEMU needs."""

    kernel: Path
    initrd: Path


def guest_boot() -> GuestBoot:
    """Return what to boot, made at the first call; skips the test where it cannot be made."""
    for name, package in (("apt-get", "apt"), ("apt-cache", "apt"), ("dpkg-deb", "dpkg")):
        program(name, package)
    found = re.search(r"Depends: (linux-image-\d\S*)", run("apt-cache", "depends", KERNEL))
    if found is None:
        pytest.skip(f"apt knows no kernel {KERNEL} that a guest could boot")
    folder = cache("guest", found[1].encode(), INIT.encode(), " ".join(MODULES).encode())
    boot = GuestBoot(folder / "vmlinuz", folder / "initrd")
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as name:
            _make(Path(name), found[1], boot)
    return boot


def _make(folder: Path, kernel: str, boot: GuestBoot) -> None:
    packages = folder / "packages"
    packages.mkdir()
    try:
        run("apt-get", "-q", "download", kernel, "busybox-static", cwd=packages)
    except AssertionError as error:
        pytest.skip(f"the kernel of a guest and its busybox cannot be fetched: {error}")
    for package in packages.iterdir():
        run("dpkg-deb", "--extract", package, folder)
    made = folder / "made"
    made.mkdir()
    (image,) = folder.glob("boot/vmlinuz-*")
    shutil.copy(image, made / boot.kernel.name)
    (busybox,) = (path for path in folder.rglob("busybox") if path.is_file() and path.parent.name == "bin")
    archive = b"".join(_archive(busybox.read_bytes(), dict(_with_needed(folder / "lib" / "modules"))))
    (made / boot.initrd.name).write_bytes(archive)
    made.rename(boot.kernel.parent)


def _with_needed(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the modules, and those that they need before them."""
    paths = {path.name.partition(".")[0].replace("-", "_"): path for path in folder.rglob("*.ko*")}

    def loaded(name: str) -> Iterator[tuple[str, bytes]]:
        if name in paths:  # else it is a part of the kernel
            path = paths.pop(name)
            data = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
            needs = re.search(rb"\0depends=([^\0]*)", data)
            for needed in needs[1].decode().split(",") if needs else ():
                yield from loaded(needed.replace("-", "_"))
            yield f"{name}.ko", data

    for name in MODULES:
        yield from loaded(name)


def _archive(busybox: bytes, modules: dict[str, bytes]) -> Iterator[bytes]:
    """Yield a cpio archive, as the kernel unpacks it into memory."""
    for folder in ("bin", "machine", "modules", "dev"):
        yield _entry(folder, 0o040755, b"")
    yield _entry("dev/console", 0o020600, b"", device=(5, 1))
    yield _entry("bin/busybox", 0o100755, busybox)
    yield _entry("init", 0o100755, INIT.encode())
    for name, data in modules.items():
        yield _entry(f"modules/{name}", 0o100644, data)
    yield _entry("modules/order", 0o100644, "\n".join(modules).encode())
    yield _entry("TRAILER!!!", 0, b"")


def _entry(name: str, mode: int, data: bytes, device: tuple[int, int] = (0, 0)) -> bytes:
    path = name.encode() + b"\0"
    numbers = (0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
    header = b"070701" + b"".join(b"%08X" % number for number in numbers) + path
    return _padded(header) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
