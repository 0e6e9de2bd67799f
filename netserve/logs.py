"""Logs: events with key=value, as lines for people or as JSON for programs, on standard error."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

LEVELS = ("debug", "info", "warning", "error")
_SECRETS = frozenset({"authorization", "cookie", "password", "secret", "session", "session_id", "token"})
_QUIET = ("asyncio", "httpcore", "httpx")
"""Libraries that say at level info what is of interest only when something fails."""


def configure(level: str = "info", json: bool = False, stream: TextIO | None = None) -> None:
    """Send structlog's events and the records of ``logging`` to ``stream`` (standard error) from ``level`` up.

    Lines have colours on a terminal only. Values of keys that name secrets are not written.
    """
    stream = stream or sys.stderr
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _hide_secrets,
    ]
    last: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
        if json
        else [
            structlog.dev.ConsoleRenderer(
                colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
            )
        ]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(number)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


def _hide_secrets(_logger: Any, _method: str, event: EventDict) -> EventDict:
    for key in event:
        if key.lower() in _SECRETS:
            event[key] = "(hidden)"
    return event
