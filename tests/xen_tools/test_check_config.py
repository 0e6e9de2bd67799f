"""`xen-cim check-config`: the doors, the warnings, the problems, and the exit code."""

from __future__ import annotations

import json

import pytest

from netserve import certificates
from xen_tools import xen_cim

GOOD = """
[[xenapid.doors]]
listen = "unix"
authentication = "none"
[[xenapid.doors]]
listen = "*:9363"
plaintext = true
allowed_hosts = ["example", "^10"]
[[pycimom.doors]]
listen = 5988
"""


@pytest.fixture
def checked(tmp_path, capsys):
    """Check a text, and return the exit code and what was printed."""

    def check(text: str, *options: str, name: str = "f.toml") -> tuple[int, str]:
        file = tmp_path / name
        file.write_text(text)
        code = xen_cim.main(["check-config", *options, str(file)])
        return code, capsys.readouterr().out.replace(str(tmp_path), "")

    return check


def test_what_would_open(checked):
    assert checked(GOOD) == (
        0,
        "xenapid would open 2 doors:\n"
        "  http+unix:///var/run/xend/xen-api.sock  root and the daemon's own user, without a password\n"
        "  http://*:9363  passwords of the system (PAM); from example or ^10\n"
        "pycimom would open 1 door:\n"
        "  http://127.0.0.1:5988  passwords of the Xen-API\n"
        "Warning: The door *:9363 sends passwords in clear to other machines.\n",
    )


def test_for_programs(checked):
    code, printed = checked(GOOD, "--json")
    told = json.loads(printed)
    assert (code, told["problems"]) == (0, [])
    assert told["warnings"] == ["The door *:9363 sends passwords in clear to other machines."]
    assert told["daemons"]["xenapid"]["doors"][1] == {
        "name": "*:9363",
        "url": "http://*:9363",
        "authentication": "pam",
        "allowed_hosts": ["example", "^10"],
        "client_certificates": False,
    }
    code, printed = checked("[xenapid]\nvms = 0", "--json")
    (problem,) = json.loads(printed)["problems"]
    assert (code, problem["line"], problem["setting"]) == (1, 2, "xenapid.vms")


def test_all_problems_of_all_daemons_once(checked):
    code, printed = checked("a = 1\n[xenapid]\nvms = 0\n[pycimom]\ngzip = 1")
    assert code == 1
    assert printed == (
        "/f.toml:1: a is no setting; there are xenapid, pycimom.\n"
        "/f.toml:3: xenapid.vms has to be a whole number from 1 to 100000, not 0.\n"
        "/f.toml:5: pycimom.gzip has to be true or false, not 1.\n"
    )


def test_xends_file(checked):
    code, printed = checked("(xen-api-server ((unix none)))", name="xend-config.sxp")
    assert (code, printed.count("\n")) == (0, 2)
    assert "pycimom" not in printed
    code, printed = checked("(xen-api-server (\n(9363 none)))", name="xend-config.sxp")
    assert (code, printed[:39]) == (1, "/xend-config.sxp:2: xen-api-server, ent")


def test_what_would_keep_a_door_shut_is_seen_before(checked, tmp_path):
    made = certificates.ensure(tmp_path / "tls")
    door = f'[xenapid]\nsocket = "/{"x" * 110}"\n[[xenapid.doors]]\nlisten = 9367\nkey = "{made.key}"\n'
    code, printed = checked(f'{door}certificate = "{made.certificate}"')
    assert (code, "would open 1 door" in printed) == (0, True)
    code, printed = checked(f'{door}certificate = "/none.pem"')
    assert code == 1
    assert (
        "xenapid would not start. The door '9367' cannot be opened at https://127.0.0.1:9367: its certificate"
        in printed
    )
    code, printed = checked(f'{door}certificate = "{made.certificate}"\n[[xenapid.doors]]\nlisten = "unix"')
    assert (code, "107 bytes" in printed) == (1, True)


def test_authorities_are_looked_at_before_a_certificate_is_made(checked, tmp_path):
    authority = certificates.ensure(tmp_path / "authority").certificate
    door = f'[xenapid]\ntls = "{tmp_path}/tls"\n[[xenapid.doors]]\nlisten = 9367\ntls = true\n'
    code, printed = checked(f'{door}client_authorities = "{authority}"')
    assert (code, "passwords of the system (PAM) and a client certificate" in printed) == (0, True)
    code, printed = checked(f'{door}client_authorities = "/none.pem"')
    assert (code, "its certificate or key cannot be used" in printed) == (1, True)
    assert not (tmp_path / "tls").exists()


def test_no_such_file_is_wrong_usage(tmp_path, capsys):
    assert xen_cim.main(["check-config", str(tmp_path / "none.toml")]) == 2
    assert capsys.readouterr().err == f"xen-cim: There is no file {tmp_path}/none.toml.\n"
