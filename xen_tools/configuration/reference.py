"""The reference page of all settings, from their declarations."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from xen_tools.configuration.declaration import Setting, declared
from xen_tools.configuration.files import section
from xen_tools.configuration.toml import SECTIONS

_HEAD = "| Setting | Default | Has to be | Meaning |\n| --- | --- | --- | --- |"


def page() -> str:
    """Return the page's text: a part for each table, in Markdown."""
    return "\n".join(part for name in SECTIONS for part in _tables(section(name), name, f"[{name}]"))


def _tables(cls: type, where: str, heading: str) -> Iterator[str]:
    inner = []
    yield f"### `{heading}`\n\n{_sentence(' '.join((cls.__doc__ or '').split()))}\n\n{_HEAD}"
    for field, about in declared(cls):
        if about.of is None:
            yield f"| `{field.name}` | {_default(field, about)} | {_cell(about.kind.words)} | {_cell(about.doc)} |"
            continue
        place = f"{where}.{field.name}"
        inner.append((about.of, place, f"[[{place}]]" if about.shown is not None else f"[{place}]"))
        if about.shown is not None:
            words = _cell(about.kind.words)
            yield f"| `{field.name}` | {_cell(about.shown)} | {words} | see `[[{place}]]` below |"
    yield ""
    for each in inner:
        yield from _tables(*each)


def _default(field: dataclasses.Field[Any], about: Setting) -> str:
    if about.shown is not None:
        return _cell(about.shown)
    return "needed" if field.default is dataclasses.MISSING else f"`{_toml(field.default)}`"


def _toml(value: Any) -> str:
    if isinstance(value, Path):
        return json.dumps(str(value))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
