"""The reference page of the model says what the provider declares."""

from __future__ import annotations

import re
from pathlib import Path

from xen_providers.provider import CLASSES
from xen_tools.model_page import page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "model.md"


def test_the_page_is_as_the_declarations_have_it():
    assert PAGE.read_text() == page(), "write it anew: python -m xen_tools.model_page > docs/model.md"


def test_every_class_is_on_it_once_and_has_its_keys_and_a_description():
    text = page()
    for each in CLASSES:
        if each.ends:
            assert len(re.findall(rf"^\| `{each.name}` \|", text, re.MULTILINE)) == 1
            continue
        (section,) = re.findall(rf"^### {each.name}\n\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
        assert re.match(r"[A-Z\"].{20,}\.\n", section), each.name
        assert {name for name in each.keys if f"| `{name}` (key) |" in section} == set(each.keys)
        assert section.count("\n| `") == len(each.properties)
