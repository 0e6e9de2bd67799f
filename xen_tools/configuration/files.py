"""Settings files: which file is read how."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TypeVar, cast

from xen_tools.configuration import toml, xend
from xen_tools.configuration.problems import Problem, SettingsError
from xen_tools.configuration.server import ServerSettings
from xen_tools.configuration.xenapid import Xenapid

T = TypeVar("T", bound=ServerSettings)

USUAL = Path("/etc/xen-cim/xen-cim.toml")
XEND_SUFFIX = ".sxp"


def section(name: str) -> type[ServerSettings]:
    """Return the settings class of a daemon. The servers are imported only by those who ask for them."""
    module = import_module(f"xen_tools.configuration.{name}")
    return cast("type[ServerSettings]", getattr(module, name.capitalize()))


def sections(path: Path) -> tuple[str, ...]:
    """Return the daemons that a file can have settings of: xend's settings are of its Xen-API alone."""
    return toml.SECTIONS[:1] if path.suffix == XEND_SUFFIX else toml.SECTIONS


def load(path: Path, name: str, cls: type[T]) -> T:
    """Return a daemon's settings of a file, in TOML or xend's; SettingsError has all that is wrong with them."""
    if path.suffix == XEND_SUFFIX:
        if not issubclass(cls, Xenapid):
            raise SettingsError([Problem(str(path), None, "", f"xend's settings have none of {name}.")])
        return replace(cls(), doors=xend.doors(_text(path, "replace"), str(path)))
    settings = toml.parse(_text(path), str(path), name, cls)
    if isinstance(settings, Xenapid) and settings.xend_config is not None:
        other = settings.xend_config
        return replace(settings, doors=xend.doors(_text(other, "replace"), str(other)))
    return settings


def _text(path: Path, errors: str = "strict") -> str:
    try:
        return path.read_bytes().decode("utf-8", errors)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise SettingsError([Problem(str(path), None, "", f"The file cannot be read: {why}.")]) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SettingsError([Problem(str(path), line, "", "This is not UTF-8.")]) from error
