"""The error catalogue: each code once, none raised that it lacks, each with a sentence that can be translated."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

import xenapi_core
from xenapi_core.datamodel import errors
from xenapi_core.datamodel.errors import ERRORS, XenApiError, sentence

ROOT = Path(xenapi_core.__file__).parent


def raised(tree: ast.AST) -> set[str]:
    """Return the codes that a module names where it makes an error."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name))
    firsts = (node.args[0] for node in calls if node.func.id == "XenApiError" and node.args)
    return {first.value for first in firsts if isinstance(first, ast.Constant) and isinstance(first.value, str)}


def test_every_code_that_is_raised_is_in_the_catalogue() -> None:
    missing = {}
    for file in ROOT.rglob("*.py"):
        unknown = raised(ast.parse(file.read_text("utf-8"))) - set(ERRORS)
        if unknown:
            missing[str(file.relative_to(ROOT))] = unknown
    assert missing == {}


def test_no_code_is_declared_twice() -> None:
    tree = ast.parse(Path(errors.__file__).read_text("utf-8"))
    tables = [node for node in ast.walk(tree) if isinstance(node, ast.Dict)]
    keys = Counter(key.value for table in tables for key in table.keys if isinstance(key, ast.Constant))
    assert [key for key, count in keys.items() if count > 1] == []


def test_sentences_name_the_parameters() -> None:
    assert sentence("HANDLE_INVALID", ["VM", "x"]) == "There is no VM with the reference x."
    assert sentence("HANDLE_INVALID", ["VM"]) == "There is no VM with the reference ?."
    assert str(XenApiError("HANDLE_INVALID", "VM", "x")) == sentence("HANDLE_INVALID", ["VM", "x"])


def test_sentences_can_be_translated() -> None:
    german = {ERRORS["HANDLE_INVALID"].sentence: "Es gibt kein {class} mit der Referenz {handle}."}
    translated = sentence("HANDLE_INVALID", ["VM", "x"], lambda text: german.get(text, text))
    assert translated == "Es gibt kein VM mit der Referenz x."


def test_a_code_that_there_is_not_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="not in the error catalogue"):
        XenApiError("NO_SUCH_CODE")
