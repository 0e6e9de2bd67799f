"""What strangers write is understood or refused, whatever it is: a minute of atheris for each of the languages."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = 60
TARGET = Path(__file__).parents[1] / "support" / "fuzz_target.py"
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
}


@pytest.mark.slow
@pytest.mark.timeout(4 * SECONDS)
@pytest.mark.parametrize("language", sorted(SEEDS))
def test_nothing_breaks_a_reader(language: str, tmp_path: Path):
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed; it comes with the extra `fuzz`, where there is a build of it")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(SEEDS[language]):
        (corpus / str(number)).write_text(seed)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, str(TARGET), language, f"-max_total_time={SECONDS}", "-max_len=2000", "-timeout=20", corpus],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
