"""Limits: how much those who may call can give the server to do, and to keep, at a time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What one call may be like, and how many may be under way. What a connection may hold is a matter of the doors."""

    body_size: int = 2 * 1024 * 1024
    """Bytes of a call; longer requests are refused, so that reading one never takes long."""
    nesting: int = 32
    """How deep values of a request may be nested."""
    values: int = 10_000
    """Values of a request, at any depth, about; more are refused before they are read, since reading blocks others."""
    batch: int = 100
    """Calls in one JSON-RPC request."""
    sessions: int = 10_000
    """Sessions of all users; one more ends the one that was idle the longest, of the user who has most."""
    sessions_per_originator: int = 500
    """Sessions of one user and originator; one more ends the one that was idle the longest."""
    session_timeout: float = 24 * 3600.0
    """Seconds without a call after which a session ends."""
    waiting_readers: int = 1000
    """Calls of event.from and event.next that may wait at a time; one more gets TOO_BUSY."""
    pending_tasks: int = 1000
    """Tasks that have not ended; one more gets TOO_MANY_PENDING_TASKS."""
    finished_tasks: int = 200
    """Tasks that have ended and are kept for a while; beyond that the oldest go."""
    waiting_logins: int = 500
    """Logins whose passwords wait to be checked or are being checked; one more is refused."""
    failure_delay: float = 0.25
    """Seconds before the login after the first that failed; doubled with each further one."""
    longest_failure_delay: float = 5.0
    """Seconds at which that ends."""


DEFAULT = Limits()
