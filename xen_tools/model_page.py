"""`python -m xen_tools.model_page`: write the reference page of the CIM model, docs/model.md, from its declarations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pycimom.mof_source import MofText, read_mof
from xen_providers.mapping.declaration import End, Mapped, MappedClass
from xen_providers.mapping.expressions import PART, POOL, Expression, Path
from xen_providers.provider import CLASSES
from xen_tools.schema import model_files

_INTRODUCTION = """\
# The CIM model of Xen

Every class that has instances, with its keys, its properties and where their values come from. This page is written by
`python -m xen_tools.model_page` from what the provider declares; a test holds it to that.

| In the column *From* | Is |
| --- | --- |
| `power_state` | a field of the Xen-API record that the instance shows |
| `metrics.start_time` | a field of the record that a reference leads to |
| `other_config/owner` | the value of a key of a map |
| `pool: name_label` | a field of the pool's record |
| *part* | what tells the instances of one record apart: the number of a processor, for example |
| *always 5* | the same for all instances |

Properties that are not listed stay NULL. Associations are listed with what is at their ends; each is also found by the
class under which it stands, and by the class of the DMTF above that.
"""
_COMMENT = re.compile(r"\A// (.*?)\n(?!//)", re.DOTALL)
_DESCRIPTION = re.compile(r'\bDescription\s*\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)\)', re.DOTALL)
_CLASS = re.compile(r"^class (Xen_\w+)", re.MULTILINE)


def page() -> str:
    """Return the page."""
    return "\n".join([_INTRODUCTION, *_subjects()])


def _subjects() -> Iterator[str]:
    mapped = {each.name: each for each in CLASSES}
    for text in map(read_mof, model_files()):
        served = [mapped[each.name] for each in text.declarations if each.name in mapped]
        if served:
            yield "\n".join(_subject(text, served))


def _subject(text: MofText, served: Sequence[MappedClass]) -> Iterator[str]:
    comment = _COMMENT.match(text.text)
    title = (comment[1] if comment else "").replace("\n// ", " ")
    heading, _, rest = title.partition(": ")
    yield f"## {(heading if rest else title).rstrip('.')}\n"
    if rest:
        yield f"{rest[0].upper()}{rest[1:]}\n"
    descriptions = _descriptions(text.text)
    for each in (each for each in served if not each.ends):
        yield from _class(each, descriptions.get(each.name, ""))
    associations = [each for each in served if each.ends]
    if associations:
        yield "### Associations\n"
        yield "| Class | Under | From one record of | Ends | Further properties |"
        yield "| --- | --- | --- | --- | --- |"
        yield from map(_association, associations)
        yield ""


def _descriptions(text: str) -> dict[str, str]:
    """Return what the MOF says of each class: the first description after the class before."""
    found: dict[str, str] = {}
    begin = 0
    for match in _CLASS.finditer(text):
        said = _DESCRIPTION.findall(text, text.rfind("\n\n", begin, match.start()), match.start())
        if said:
            found[match[1]] = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', said[-1])).replace('\\"', '"')
        begin = match.end()
    return found


def _class(mapped: MappedClass, description: str) -> Iterator[str]:
    yield f"### {mapped.name}\n"
    yield f"{description}\n"
    parts = f", one for each of: {_source(mapped.parts)}" if mapped.parts.paths or _varies(mapped.parts) else ""
    yield f"Under `{mapped.superclass}`; from records of `{mapped.source}`{parts}.\n"
    yield "| Property | Type | From |"
    yield "| --- | --- | --- |"
    for name, each in mapped.properties.items():
        key = " (key)" if each.property.key else ""
        yield f"| `{name}`{key} | {_type(each)} | {_source(each.expression)} |"
    yield ""


def _varies(parts: Expression) -> bool:
    return not parts.paths and parts.function() is not None


def _type(mapped: Mapped) -> str:
    declared = mapped.property
    return f"{declared.embedded or declared.type}{'[]' if declared.array else ''}"


def _association(mapped: MappedClass) -> str:
    ends = "; ".join(f"{role} = {_end(each)}" for role, each in mapped.ends.items())
    more: Mapping[str, Any] = {name: each for name, each in mapped.properties.items() if name not in mapped.ends}
    further = "; ".join(f"{name}: {_source(each.expression)}" for name, each in more.items())
    return f"| `{mapped.name}` | `{mapped.superclass}` | `{mapped.source}` | {ends} | {further} |"


def _end(end: End) -> str:
    """Return the class at an end, and the way there."""
    return f"`{end.target.name}`{f' ({_path(end.prefix)})' if end.prefix else ''}"


def _source(expression: Expression) -> str:
    if not expression.paths:
        return f"*always {_plain(expression.function())}*"
    return ", ".join(dict.fromkeys(map(_path, expression.paths)))


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple | range):
        return ", ".join(map(_plain, value)) or "empty"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _path(path: Path) -> str:
    if path == (PART,):
        return "*part*"
    if path[0] == POOL:
        return f"pool: `{'.'.join(path[1:])}`" if path[1:] else "pool"
    return f"`{'.'.join(path)}`"


if __name__ == "__main__":
    print(page(), end="")
