"""Password hashes: scrypt (RFC 7914), with its parameters beside each hash so that they can be raised later."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from dataclasses import dataclass

LOG_N = 15
"""CPU and memory cost: 2^15 blocks of 8 x 128 bytes are 32 MiB, some 80 ms."""
BLOCK = 8
PARALLEL = 1
_MAX_MEMORY = 256 * 1024 * 1024


@dataclass(frozen=True)
class PasswordHash:
    """What is kept of a password."""

    log_n: int
    block: int
    parallel: int
    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, password: str, *, log_n: int = LOG_N) -> PasswordHash:
        """Return the hash of a password with a new salt. Takes a while: not on the event loop."""
        salt = os.urandom(16)
        return cls(log_n, BLOCK, PARALLEL, salt, _scrypt(password, salt, log_n, BLOCK, PARALLEL))

    @classmethod
    def parse(cls, text: str) -> PasswordHash:
        """Return the hash that a text of ``str(hash)`` names; ValueError if it names none."""
        try:
            empty, scheme, parameters, salt, digest = text.split("$")
            numbers = dict(part.split("=", 1) for part in parameters.split(","))
            found = cls(
                int(numbers["ln"]),
                int(numbers["r"]),
                int(numbers["p"]),
                base64.b64decode(salt, validate=True),
                base64.b64decode(digest, validate=True),
            )
        except (ValueError, KeyError) as error:
            raise ValueError("not of the form $scrypt$ln=15,r=8,p=1$SALT$HASH") from error
        if empty or scheme != "scrypt" or (1 << found.log_n) * found.block * 128 > _MAX_MEMORY // 2:
            raise ValueError("not of the form $scrypt$ln=15,r=8,p=1$SALT$HASH, or of too high a cost")
        return found

    def matches(self, password: str) -> bool:
        """Whether a password is the one. Takes a while: not on the event loop."""
        return hmac.compare_digest(self.digest, _scrypt(password, self.salt, self.log_n, self.block, self.parallel))

    def __str__(self) -> str:
        salt, digest = base64.b64encode(self.salt).decode(), base64.b64encode(self.digest).decode()
        return f"$scrypt$ln={self.log_n},r={self.block},p={self.parallel}${salt}${digest}"

    def __repr__(self) -> str:
        return "<password hash>"


def _scrypt(password: str, salt: bytes, log_n: int, block: int, parallel: int) -> bytes:
    secret = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(secret, salt=salt, n=1 << log_n, r=block, p=parallel, maxmem=_MAX_MEMORY, dklen=32)
