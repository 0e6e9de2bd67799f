"""`pycimom mof compile`: own classes into a server's state, all of them or none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cim_provider import CimError
from pycimom.instance_store import InstanceStore, lock_folder
from pycimom.mof_compiler import Compilation
from pycimom.mof_source import MofError, MofText
from pycimom.repository import Repository
from pycimom.repository_cache import open_repository
from pycimom.server import STORE
from wbem_server import PASSWORD, USER, WbemServer
from xen_tools import pycimom as command
from xen_tools import schema

SHOP = """
Qualifier Colour : string = null, Scope(class), Flavor(EnableOverride, ToSubclass);
[Colour("red")] class Shop_Book : Shop_Thing { [EmbeddedInstance("CIM_Job")] string Order; };
class Shop_Thing : CIM_ManagedElement { [Key] string Id; };
[Association] class Shop_Holds { [Key] Shop_Thing REF Part; [Key] CIM_Collection REF Whole; };
"""


@pytest.fixture
def state(schema_archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XEN_CIM_SCHEMA", str(schema_archive))
    monkeypatch.setattr(schema, "model_files", list)  # the Xen model takes seconds to compile
    monkeypatch.setattr("xen_tools.mof.cache_folder", lambda environment: tmp_path / "cache")
    return tmp_path / "state"


@pytest.fixture
def compile_(state: Path, tmp_path: Path):
    def run(*texts: str, namespace: str = "root/shop") -> int:
        files = []
        for number, text in enumerate(texts):
            files.append(tmp_path / f"{number}.mof")
            files[-1].write_text(text)
        return command.main(
            ["mof", "compile", "--state", str(state), "--namespace", namespace, *(str(each) for each in files)]
        )

    return run


@pytest.fixture
def reopened(schema_archive: Path, state: Path, tmp_path: Path):
    def run() -> Repository:
        repository = open_repository(schema_archive, [], tmp_path / "cache")
        store = InstanceStore(state / STORE)
        store.restore(repository)
        store.close()
        return repository

    return run


def test_classes_come_with_what_they_need(compile_, reopened, capsys: pytest.CaptureFixture[str]):
    assert compile_(SHOP) == 0
    assert capsys.readouterr().out == "Compiled into root/shop: Shop_Thing, Shop_Book, Shop_Holds.\n"
    repository = reopened()
    assert repository.get("root/shop", "Shop_Book").ancestors == ("Shop_Thing", "CIM_ManagedElement")
    assert repository.get("root/shop", "CIM_Job")
    assert repository.associations_of("root/shop", "Shop_Book") == ("Shop_Holds",)
    assert compile_(SHOP) == 0  # again is no error
    assert compile_(SHOP.replace("Id;", "Id; uint8 Shelf;")) == 0
    assert "Shelf" in reopened().get("root/shop", "Shop_Book").properties


@pytest.mark.parametrize(
    ("texts", "file", "line", "says"),
    [
        (["class A_B {};", "\n\nclass A_C : A_D {};"], "1.mof", 3, "There is no class A_D"),
        (["class A_B {};\n\nclass A_B {};"], "0.mof", 3, "second time"),
        (["class A_B { uint8 X };"], "0.mof", 1, ""),
        (["class A_B {\n\n"], "0.mof", 3, "end of MOF"),
        (["\n[Nonsense] class A_B {};"], "0.mof", 2, "Nonsense"),
        (["class A_B { uint8 X; };\nclass A_C : A_B { string X; };"], "0.mof", 2, "another type"),
        (['\ninstance of A_B { X = "x"; };'], "0.mof", 2, ""),
    ],
)
def test_errors_name_file_and_line_and_nothing_has_changed(
    compile_, reopened, capsys: pytest.CaptureFixture[str], texts: list[str], file: str, line: int, says: str
):
    assert compile_(*texts) == 1
    message = capsys.readouterr().err
    assert message.startswith("pycimom: /")
    assert f"/{file}:{line}: " in message
    assert says in message
    assert "root/shop" not in reopened().namespaces()


def test_a_running_server_keeps_its_state(compile_, state: Path, capsys: pytest.CaptureFixture[str]):
    state.mkdir()
    lock_folder(state)
    assert compile_(SHOP) == 1
    assert "in use by a server" in capsys.readouterr().err


WORDS = st.sampled_from(
    [
        *(
            "class",
            "instance",
            "of",
            "Qualifier",
            "Key",
            "A_B",
            "A_C",
            ":",
            ";",
            ",",
            "{",
            "}",
            "[",
            "]",
            "(",
            ")",
            "=",
        ),
        *('"x"', "7", "0x1", "1.5", "true", "null", "REF", "uint8", "string", "boolean", "Scope", "Flavor", "any"),
        *("ToSubclass", "#pragma", "include", "$a", "/*", "*/", "//", "\n", "as"),
    ]
)


@given(st.one_of(st.text(max_size=100), st.lists(WORDS, max_size=30).map(" ".join)))
def test_any_text_is_compiled_or_told_with_its_line(text: str):
    line = None
    try:
        Compilation().compile(MofText("some.mof", text))
    except MofError as error:
        line = error.line or 0
    assert line is None or 1 <= line <= text.count("\n") + 1


class TestRunningServer:
    @pytest.fixture
    def server(
        self, schema_archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[tuple[str, Repository]]:
        monkeypatch.setenv("PYCIMOM_PASSWORD", PASSWORD)
        repository = open_repository(schema_archive, [], tmp_path / "cache")
        running = WbemServer(repository, [], state=tmp_path / "state")
        yield running.url, repository
        running.stop()

    @staticmethod
    def compile(url: str, file: Path, text: str) -> int:
        file.write_text(text)
        return command.main(["mof", "compile", "--server", url, "--user", USER, str(file)])

    def test_it_gets_all_or_nothing(
        self, server: tuple[str, Repository], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ):
        url, repository = server
        file = tmp_path / "shop.mof"
        assert self.compile(url, file, SHOP) == 0
        assert repository.get("root/cimv2", "Shop_Book").superclass == "Shop_Thing"
        before = repository.class_xml("root/cimv2", "Shop_Book")
        bad = "class Shop_Book : Shop_Thing { uint8 X; };\nclass Shop_New {};\n\nclass Shop_Bad : Shop_None { };"
        assert self.compile(url, file, bad) == 1
        assert f"{file}:4: There is no class Shop_None" in capsys.readouterr().err
        assert repository.class_xml("root/cimv2", "Shop_Book") == before
        with pytest.raises(CimError):
            repository.get("root/cimv2", "Shop_New")
