"""What strangers write is understood or refused, whatever it is: a minute of atheris for each of the languages."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

AT_A_TIME = 2
TARGET = Path(__file__).parent / "support" / "fuzz_target.py"
SEEDS = {
    "mof": [
        "class A_B : A_C { [Key] string Id; uint8 X[3] = {1, 2}; A_D REF R; uint32 M([In] string P); };",
        'Qualifier Key : boolean = false, Scope(property), Flavor(DisableOverride);\n#pragma locale("en")\n/* */ //',
    ],
    "wql": ["SELECT Name, Number FROM Item WHERE NOT (Number >= 0x10 OR Name LIKE '%a_[b-c]') AND Since IS NULL"],
    "cql": ["SELECT * FROM Item WHERE Item.Codes[*] = 3 AND Item ISA Item AND Item.Item::Name LIKE '(a|b)*.+'"],
    "fql": ["ANY Codes = 2 AND EVERY Codes <> 3 OR Codes[0] < 7 AND NOT Name LIKE 'x.*' AND Since IS NOT NULL"],
    "cim-xml": [
        '<?xml version="1.0"?><CIM CIMVERSION="2.0" DTDVERSION="2.0"><MESSAGE ID="1" PROTOCOLVERSION="1.0"><SIMPLEREQ>'
        '<IMETHODCALL NAME="GetClass"><LOCALNAMESPACEPATH><NAMESPACE NAME="root"/></LOCALNAMESPACEPATH>'
        '<IPARAMVALUE NAME="ClassName"><CLASSNAME NAME="A_B"/></IPARAMVALUE></IMETHODCALL></SIMPLEREQ></MESSAGE></CIM>'
    ],
    "xml-rpc": [
        '<?xml version="1.0"?><methodCall><methodName>VM.create</methodName><params>'
        "<param><value>session</value></param><param><value><struct><member><name>is_a_template</name><value><boolean>1</boolean></value></member><member>"
        "<name>tags</name><value><array><data><value><i4>7</i4></value><value><double>1e3</double></value><value><nil/>"
        "</value><value><dateTime.iso8601>20240102T03:04:05Z</dateTime.iso8601></value><value><base64>YQ==</base64>"
        "</value></data></array></value></member></struct></value></param></params></methodCall>",
    ],
    "json-rpc": [
        '{"jsonrpc": "2.0", "method": "VM.create", "params": ["session", {"tags": ["\\ud83d\\ude00", null]}], "id": 1}',
        '[{"method": "event.from", "params": ["session", ["*"], "", 1.5e3], "id": "a"}, {"id": null, "method": "x"}]',
    ],
    "get_all_records_where": [
        'field "name__label" = "a\\"b" and not (field "power_state" = "Running" or false)',
        'true or "Halted" = field "power_state" and not not field "tags" = "()"',
    ],
    "settings of xenapid": [
        '[xenapid]\nstate = "/s"\nhosts = 3\n[[xenapid.doors]]\nlisten = "*:9367"\ntls = true\n'
        'allowed_hosts = [\'^192\\.0\\.2\\.\']\n[xenapid.pam]\nroles = { "%a" = "pool-admin" }\n'
        "[xenapid.limits]\nidle_timeout = 1.5\n",
    ],
    "settings of pycimom": [
        '[pycimom]\nxen_api = "https://[::1]:9"\ngzip = true\n[[pycimom.doors]]\nlisten = 5988\n'
        '[pycimom.indications]\ndestinations = ["192.0.2.0/24", "*"]\n',
    ],
    "settings of xend": [
        "(xen-api-server ((9363 pam '^localhost$ example\\\\.com$') (9367 pam '' /k /c) (unix none)))  # text\n",
        '(a "\\x41\\101\\n") (xen-api-server ((":9363" none) ([::1]:9 local)))',
    ],
}


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, int], str]]:
    """What atheris says of a language after so many seconds; empty if nothing broke. Several are tried at a time."""
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed; it comes with the extra `fuzz`, where there is a build of it")
    begun: dict[tuple[str, int], Future[str]] = {}
    with ThreadPoolExecutor(AT_A_TIME) as threads:

        def result(language: str, seconds: int) -> str:
            if (language, seconds) not in begun:
                for each in sorted(SEEDS, key=lambda each: each != language):
                    begun[each, seconds] = threads.submit(fuzz, each, seconds, tmp_path_factory.mktemp("fuzzed"))
            return begun[language, seconds].result()

        yield result
        for each in begun.values():
            each.cancel()


def fuzz(language: str, seconds: int, folder: Path) -> str:
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(SEEDS[language]):
        (corpus / str(number)).write_text(seed)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, str(TARGET), language, f"-max_total_time={seconds}", "-max_len=2000", "-timeout=20", corpus],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    return "" if done.returncode == 0 else (done.stdout + done.stderr)[-4000:]


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(60, marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
        pytest.param(600, marks=[pytest.mark.soak, pytest.mark.timeout(7200)]),
    ],
)
@pytest.mark.parametrize("language", sorted(SEEDS))
def test_nothing_breaks_a_reader(fuzzed: Callable[[str, int], str], language: str, seconds: int):
    assert fuzzed(language, seconds) == ""
