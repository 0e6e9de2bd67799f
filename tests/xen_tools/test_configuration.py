"""Settings files: TOML and xend's, what they say, and how what is wrong with them is told."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netserve import doors as netserve_doors
from netserve.doors import Door, Limits, Tls
from pycimom.server import Settings as CimSettings
from xen_tools.configuration import reference, sxp, toml, xend
from xen_tools.configuration.declaration import declared
from xen_tools.configuration.files import load
from xen_tools.configuration.limits import DoorLimits
from xen_tools.configuration.problems import SettingsError
from xen_tools.configuration.pycimom import CimLimits, Pycimom
from xen_tools.configuration.xenapid import Xenapid, XenApiLimits
from xenapi_core import limits as of_calls
from xenapi_core.access.pam import Pam
from xenapi_core.datamodel.roles import Role

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
MARK = "<!-- What follows is made from the declarations: pytest tests/xen_tools --update-golden -->\n\n"

OF_2007 = r"""
# xend's own comment on it:
(xen-api-server ((9363 pam '^localhost$ example\\.com$') (9367 pam '' /etc/xen/xen-api.key /etc/xen/xen-api.crt) \
(unix none)))
""".replace("\\\n", "")
LIMITS = Limits(body_size=of_calls.DEFAULT.body_size, received_size=64 << 20)


def xenapid(text: str) -> Xenapid:
    return toml.parse(text, "f.toml", "xenapid", Xenapid)


def pycimom(text: str) -> Pycimom:
    return toml.parse(text, "f.toml", "pycimom", Pycimom)


def wrong(text: str, read=xenapid) -> list[str]:
    """Return what is told of settings that cannot be."""
    with pytest.raises(SettingsError) as raised:
        read(text)
    assert str(raised.value).splitlines() == list(map(str, raised.value.problems))
    return str(raised.value).splitlines()


def of_xend(text: str) -> list[Door]:
    return Xenapid(doors=xend.doors(text, "xend-config.sxp")).open_doors()


def test_nothing_said_is_the_defaults():
    assert xenapid("") == Xenapid()
    assert [(each.url, each.authentication) for each in xenapid("").open_doors()] == [
        ("http+unix:///var/run/xend/xen-api.sock", "peer"),
        ("http://127.0.0.1:9363", "local"),
        ("https://127.0.0.1:9367", "local"),
    ]
    assert [each.url for each in pycimom("[xenapid]").open_doors()] == [
        "http://127.0.0.1:5988",
        "https://127.0.0.1:5989",
    ]


def test_the_defaults_are_those_of_the_servers():
    assert xenapid("").call_limits == of_calls.DEFAULT
    assert xenapid("").open_doors()[0].limits == LIMITS
    assert LIMITS.received_size < Limits().received_size  # its calls are shorter
    assert pycimom("").open_doors()[0].limits == Limits()
    known = {each.name: each.default for each in fields(CimSettings)}
    assert {name: known[name] for name in pycimom("").server_limits} == pycimom("").server_limits


def test_every_limit_of_the_servers_is_a_setting():
    of_doors = {each.name for each in fields(netserve_doors.Limits)}
    assert {each.name for each in fields(DoorLimits)} == of_doors
    assert {each.name for each in fields(XenApiLimits)} == of_doors | {each.name for each in fields(of_calls.Limits)}
    assert {each.name for each in fields(CimLimits)} >= of_doors


def test_everything_said():
    settings = xenapid(
        """
        [xenapid]
        state = "/srv/state"
        socket = "/run/x.sock"
        certificate_names = ["host.example.com", "192.0.2.1"]
        vms = 3
        [xenapid.limits]
        receive_timeout = 5
        nesting = 8
        [[xenapid.doors]]
        listen = "unix"
        authentication = "none"
        [[xenapid.doors]]
        listen = "*:9367"
        key = "/k"
        certificate = "/c"
        client_authorities = "/a"
        allowed_hosts = ['^192\\.0\\.2\\.', 'example\\.com$']
        [[xenapid.doors]]
        listen = "[::1]:9363"
        [[xenapid.doors]]
        listen = "192.0.2.1:9364"
        plaintext = true
        authentication = "local"
        allowed_origins = ["https://ops.example.com"]
        """
    )
    assert (settings.state, settings.vms, settings.call_limits.nesting) == (Path("/srv/state"), 3, 8)
    limits = replace(LIMITS, receive_timeout=5.0)
    assert settings.open_doors() == [
        Door("unix", host="", path=Path("/run/x.sock"), limits=limits, authentication="peer"),
        Door(
            "*:9367",
            "*",
            9367,
            tls=Tls(Path("/c"), Path("/k"), Path("/a")),
            limits=limits,
            allowed_hosts=(r"^192\.0\.2\.", r"example\.com$"),
            authentication="pam",
        ),
        Door("[::1]:9363", "::1", 9363, limits=limits, authentication="pam"),
        Door(
            "192.0.2.1:9364",
            "192.0.2.1",
            9364,
            limits=limits,
            authentication="local",
            allowed_origins=("https://ops.example.com",),
        ),
    ]


# --- xend's list


def test_the_list_of_2007_opens_three_doors_as_it_did():
    key = Tls(Path("/etc/xen/xen-api.crt"), Path("/etc/xen/xen-api.key"))
    hosts = (r"^localhost$", r"example\.com$")
    assert of_xend(OF_2007) == [
        Door("*:9363", "*", 9363, limits=LIMITS, allowed_hosts=hosts, authentication="pam"),
        Door("*:9367", "*", 9367, tls=key, limits=LIMITS, authentication="pam"),
        Door("unix", "", path=Path("/var/run/xend/xen-api.sock"), limits=LIMITS, authentication="peer"),
    ]


@pytest.mark.parametrize(
    ("entry", "url", "authentication"),
    [
        ("(9363)", "http://*:9363", "pam"),
        ("('9363' '' '')", "http://*:9363", "pam"),
        ("(:9363)", "http://*:9363", "pam"),
        ("(localhost:9363 none)", "http://localhost:9363", "none"),
        ("(192.0.2.1:9363 local)", "http://192.0.2.1:9363", "local"),
        ("([::1]:9363 none)", "http://[::1]:9363", "none"),
        ("(unix)", "http+unix:///var/run/xend/xen-api.sock", "pam"),
        ("(9367 pam '' xen-api.key xen-api.crt)", "https://*:9367", "pam"),
    ],
)
def test_entries(entry, url, authentication):
    (door,) = of_xend(f"(xen-api-server ({entry}))")
    assert (door.url, door.authentication) == (url, authentication)
    if door.tls is not None:
        assert door.tls == Tls(Path("/etc/xen/xen-api.crt"), Path("/etc/xen/xen-api.key"))


def test_the_rest_of_xends_settings_is_ignored():
    text = """
    # -*- sh -*-
    (logfile /var/log/xen/xend.log)
    (network-script 'network-bridge netdev=eth0')
    #(xen-api-server ((1)))
    (xen-api-server ((localhost:7 pam)))
    (vnc-listen '127.0.0.1') (enable-dump no) ()
    """
    assert [each.url for each in of_xend(text)] == ["http://localhost:7"]
    assert [each.name for each in of_xend("(xend-unix-server yes)")] == ["unix"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "\n(xen-api-server ((9363 none)\n (unix none)))",
            [
                'xend-config.sxp:2: xen-api-server, entry 1: authentication has to be "pam" or "local", since other '
                "machines can reach this door."
            ],
        ),
        (
            "(xen-api-server (\n(unix none)\n(9363 pom)\n(99999)\nunix\n()\n(1 pam '(')))",
            [
                'xend-config.sxp:3: xen-api-server, entry 2: authentication has to be "pam" or "local" or "none", not '
                "'pom'.",
                "xend-config.sxp:4: xen-api-server, entry 3: listen has to be",
                "xend-config.sxp:5: xen-api-server, entry 4 has to be a list",
                "xend-config.sxp:6: xen-api-server, entry 5 has to be a list",
                "xend-config.sxp:7: xen-api-server, entry 6: allowed_hosts has to be a list of regular expressions",
            ],
        ),
        (
            "(xen-api-server\n((9367 pam '' /k)))",
            ["xend-config.sxp:2: xen-api-server, entry 1: certificate is missing"],
        ),
        ("(xen-api-server unix)", ["xend-config.sxp:1: xen-api-server has to be followed by a list"]),
        ("(xen-api-server ((1) (1)))", ["xend-config.sxp: xen-api-server has 2 doors that listen at *:1."]),
        ("(a\n(b", ["xend-config.sxp:2: The list that begins here is not closed."]),
        ("(a)\n)", ["xend-config.sxp:2: This ')' closes no list."]),
        ("\n\n'a", ["xend-config.sxp:3: The quoted text that begins here is not closed."]),
        ("(" * 200, ["xend-config.sxp:1: Lists are nested too deeply."]),
    ],
)
def test_a_bad_entry_is_named_with_its_line(text, told):
    lines = wrong(text, lambda text: xend.doors(text, "xend-config.sxp"))
    assert len(lines) == len(told)
    for line, beginning in zip(lines, told, strict=True):
        assert line.startswith(beginning)


_words = st.text(st.characters(codec="utf-8"), max_size=8)
_nodes = st.recursive(_words, lambda children: st.lists(children, max_size=4), max_leaves=20)


def written(node) -> str:
    if isinstance(node, list):
        return f"({' '.join(map(written, node))})"
    return "'" + node.replace("\\", "\\\\").replace("'", "\\'") + "'"


def plain(node):
    return [plain(each) for each in node.items] if isinstance(node, sxp.List) else node.text


@given(st.lists(_nodes, max_size=4))
def test_expressions_are_read_as_they_are_written(nodes):
    assert [plain(each) for each in sxp.parse("\n".join(map(written, nodes)))] == nodes


@given(st.text("()'\"\\# \nax1", max_size=60) | st.text(max_size=60))
def test_any_text_is_expressions_or_refused_with_a_line(text):
    line = 1
    try:
        sxp.parse(text)
    except sxp.SxpError as error:
        line = error.line
    assert 1 <= line <= text.count("\n") + 1


_atoms = st.sampled_from(
    ["unix", "9363", "localhost:1", "*:2", "pam", "none", "local", "''", "'a b'", "'('", "/k", "x", "(", ")"]
)


@given(st.lists(_atoms, max_size=12).map(" ".join))
def test_any_list_opens_doors_or_is_refused(entries):
    with contextlib.suppress(SettingsError):
        opened = of_xend(f"(xen-api-server (({entries})))")
        assert all(each.is_local or each.authentication != "none" for each in opened)


# --- TOML


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[xenapid]\nstaet = 1", "f.toml:2: xenapid.staet is no setting; did you mean state?"),
        ("\n[xenapi]", "f.toml:2: xenapi is no setting; did you mean xenapid?"),
        ("[xenapid]\nqqqq = 1", "f.toml:2: xenapid.qqqq is no setting; there are state, "),
        (
            "[xenapid.limits]\nnesting = 8\nbatch = true",
            "f.toml:3: xenapid.limits.batch has to be a whole number from 1 to 10000, not True.",
        ),
        (
            "[xenapid.limits]\nreceive_timeout = nan",
            "f.toml:2: xenapid.limits.receive_timeout has to be a number from 0.1 to 3600 (seconds), not nan.",
        ),
        ('[xenapid]\nstate = "here"', "f.toml:2: xenapid.state has to be an absolute path, not 'here'."),
        ("xenapid = 3", "f.toml:1: xenapid has to be a table."),
        ("[xenapid]\n\n[[xenapid.doors]]", "f.toml:3: xenapid.doors[0] has to have the setting listen: "),
        (
            '[[xenapid.doors]]\nlisten = 1\n[[xenapid.doors]]\nlisten = 2\nallowed_hosts = [\n"a",\n"[",\n]',
            "f.toml:8: xenapid.doors[1].allowed_hosts has to be a list of regular expressions, not ['a', '[']: ",
        ),
        (
            'a = """\n[xenapid]\nx\n"""\n[xenapid]\nlimits = 3',
            "f.toml:4: a is no setting; there are xenapid, pycimom.",
        ),
        ("[xenapid]\ndoors = [{listen = 1}, {listen = 1}]", "f.toml:2: xenapid.doors has 2 doors that listen at 1."),
        (
            '[xenapid]\nxend_config = "/x.sxp"\n[[xenapid.doors]]\nlisten = 1',
            "f.toml:3: xenapid.doors cannot be beside xend_config",
        ),
        ("a = 1\nb = [", "f.toml:2: This is not TOML: "),
        ("a = 1\n= 2\n", "f.toml:2: This is not TOML: "),
        ("a=" + "[" * 5000 + "]" * 5000, "f.toml: Values are nested too deeply."),
        ("a=" + "9" * 5000, "f.toml:1: This is not TOML: "),
        ("#" * 300_000, "f.toml: The file has more than 262144 characters."),
    ],
)
def test_what_is_wrong_is_named_with_file_line_and_setting(text, told):
    assert wrong(text)[0].startswith(told)


@pytest.mark.parametrize(
    ("door", "told"),
    [
        ('listen = "*:1"', "listen would send passwords in clear to other machines: give it a key and a certificate"),
        ('listen = "192.0.2.1:1"', "listen would send passwords in clear to other machines"),
        ('listen = "*:1"\ntls = true\nauthentication = "none"', 'authentication has to be "pam" or "local"'),
        ('listen = "*:1"\nplaintext = true\nauthentication = "none"', 'authentication has to be "pam" or "local"'),
        ('listen = "::1:9363"', "listen has to be unix, a path of a unix socket, PORT (at 127.0.0.1)"),
        ('listen = "[1:9]:9363"', "listen has to be unix"),
        ("listen = 65536", "listen has to be unix"),
        ("listen = 1.5", "listen has to be unix"),
        ('listen = 1\nkey = "/k"', "certificate is missing: key and certificate go together."),
        ('listen = 1\nclient_authorities = "/a"', "client_authorities needs a TLS door."),
        ('listen = "unix"\ntls = true', "listen is a unix socket, which has no TLS."),
        ('listen = 1\nauthentication = "ldap"', 'authentication has to be "pam" or "local" or "none", not \'ldap\'.'),
    ],
)
def test_doors_that_cannot_be(door, told):
    (line, *_) = wrong(f"[[xenapid.doors]]\n{door}")
    assert re.match(rf"f\.toml:\d: xenapid\.doors\[0\]\.{re.escape(told)}", line), line


def test_limits_that_cannot_be():
    told = "f.toml:2: xenapid.limits.received_size has to be at least body_size, 2097152."
    assert wrong("[xenapid.limits]\nreceived_size = 4096") == [told]
    (line,) = wrong("[pycimom.limits]\nenumeration_timeout = 601", pycimom)
    assert line.endswith("longest_enumeration_timeout has to be at least enumeration_timeout, 601.")


def test_users_of_the_system_and_their_roles():
    settings = xenapid('[xenapid.pam]\nservice = "xen-api"\nroles = { root = "pool-admin", "%virt" = "vm-admin" }')
    assert settings.pam.chosen == Pam("xen-api", (("root", Role.POOL_ADMIN), ("%virt", Role.VM_ADMIN)))
    assert xenapid("").pam.chosen == Pam()
    for wrong_setting in (
        'service = "../passwd"',
        'service = ""',
        'roles = { root = "emperor" }',
        'roles = { "%" = "vm-admin" }',
        'roles = { "" = "vm-admin" }',
        'roles = ["root"]',
    ):
        (line,) = wrong(f"[xenapid.pam]\n{wrong_setting}")
        assert line.startswith(f"f.toml:2: xenapid.pam.{wrong_setting.split()[0]} has to be"), line


def test_a_door_for_metrics_is_a_door():
    settings = xenapid('[[xenapid.metrics]]\nlisten = "127.0.0.1:9364"\nallowed_hosts = ["prometheus"]')
    *_, opened = settings.open_doors()
    assert (opened.url, opened.authentication) == ("http://127.0.0.1:9364", "metrics")
    assert opened.allowed_hosts == ("prometheus",)
    (line,) = wrong('[[xenapid.metrics]]\nlisten = "9363"')
    assert line.endswith("xenapid.doors has 2 doors that listen at 9363.")
    (line,) = wrong('[[xenapid.metrics]]\nlisten = "192.0.2.1:9364"')
    assert "metrics in clear" in line


def test_each_daemon_reads_its_own_section():
    text = "[xenapid]\nbad = 1\n[pycimom]\ngzip = true"
    assert pycimom(text).gzip
    assert wrong(text)
    assert wrong("[pycimom]\n[[pycimom.doors]]\nlisten = 'unix'\n", pycimom)


def test_all_that_is_wrong_is_told_at_once():
    assert len(wrong("[xenapid]\na = 1\nvms = 0\n[xenapid.limits]\nbatch = 0\nb = 1")) == 4


_values = st.one_of(
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(),
    st.text(st.characters(codec="utf-8"), max_size=9).map(json.dumps),
)
_names = sorted({each.name for cls in (Xenapid, XenApiLimits) for each, _ in declared(cls)} | {"listen", "x"})


@given(st.lists(st.tuples(st.sampled_from(_names), _values), max_size=6, unique_by=lambda pair: pair[0]))
def test_any_document_is_settings_or_problems_with_lines(pairs):
    lines = [f"{name} = {str(value).lower() if not isinstance(value, str) else value}" for name, value in pairs]
    for table in ("[xenapid]", "[xenapid.limits]", "[[xenapid.doors]]"):
        text = "\n".join([table, *lines])
        try:
            settings = xenapid(text)
        except SettingsError as error:
            for problem in error.problems:
                assert problem.line is None or 1 <= problem.line <= text.count("\n") + 1
                if re.fullmatch(r"xenapid(\.limits|\.doors\[0\])?\.\w+", problem.setting) and problem.line != 1:
                    assert lines[problem.line - 2].startswith(problem.setting.rpartition(".")[2])
        else:
            assert settings.open_doors()


@given(st.text(max_size=80) | st.text("[]=\"\n.#'{}x1, \\", max_size=40))
def test_any_text_is_settings_or_refused(text):
    with contextlib.suppress(SettingsError):
        assert xenapid(text).open_doors() is not None


# --- files


def test_a_file_of_xend_is_named_or_given(tmp_path):
    other = tmp_path / "xend-config.sxp"
    other.write_bytes(OF_2007.encode() + b"# \xe4\n")
    config = tmp_path / "f.toml"
    config.write_text(f'[xenapid]\nxend_config = "{other}"\nvms = 3')
    named = load(config, "xenapid", Xenapid)
    assert named.doors == load(other, "xenapid", Xenapid).doors == xend.doors(OF_2007, "")
    assert named.vms == 3
    other.write_text("\n(xen-api-server ((1 none)))")
    with pytest.raises(SettingsError, match=re.escape(f"{other}:2: xen-api-server, entry 1")):
        load(config, "xenapid", Xenapid)
    with pytest.raises(SettingsError, match="none of pycimom"):
        load(other, "pycimom", Pycimom)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(SettingsError, match="no such file"):
        load(tmp_path / "none.toml", "xenapid", Xenapid)
    (tmp_path / "f.toml").write_bytes(b"# a\n# \xff\n")
    with pytest.raises(SettingsError, match=re.escape("f.toml:2: This is not UTF-8.")):
        load(tmp_path / "f.toml", "xenapid", Xenapid)


def test_what_is_seldom_wanted_gets_a_warning():
    doors = xend.doors("(xen-api-server ((9363) (localhost:1 none) (unix none x)))", "f")
    assert Xenapid(doors=doors).warnings() == [
        "The door *:9363 sends passwords in clear to other machines.",
        "The door localhost:1 makes everybody on this machine an administrator.",
        "The door unix is a unix socket: its allowed hosts mean nothing.",
    ]
    assert Xenapid().warnings() == []


def test_the_reference_page_is_what_is_declared(pytestconfig):
    before, _, told = PAGE.read_text().partition(MARK)
    if pytestconfig.getoption("--update-golden"):
        PAGE.write_text(before + MARK + reference.page())
    else:
        assert told == reference.page()
