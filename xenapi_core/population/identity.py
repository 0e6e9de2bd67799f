"""Who an object of a simulated pool is: all follows from the seed and the object's path, such as "vm/7/disk/0"."""

from __future__ import annotations

from hashlib import blake2b
from uuid import UUID


def identity(seed: int, path: str) -> tuple[str, str]:
    """Return the uuid and the reference of the object with a path."""
    digest = blake2b(f"{seed}/{path}".encode(), digest_size=32).digest()
    return str(UUID(bytes=digest[:16], version=4)), f"OpaqueRef:{UUID(bytes=digest[16:], version=4)}"


def mac(seed: int, number: int) -> str:
    """Return the MAC address of the virtual NIC with a number: unique below 16,516,096, never ending in 00 or ff."""
    start = int.from_bytes(blake2b(str(seed).encode(), digest_size=4).digest(), "big")
    high, low = divmod((start + number) % (65024 * 254), 254)
    return f"00:16:3e:{high >> 8:02x}:{high & 0xFF:02x}:{low + 1:02x}"
