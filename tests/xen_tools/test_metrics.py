"""Metrics of the daemon: a door that the settings open, and SIGHUP too."""

from __future__ import annotations

import httpx
import pytest

from configured_daemon import LOCAL, USER, Daemon, connect, door, head, login

METRICS = '[[xenapid.metrics]]\nlisten = "127.0.0.1:0"\n'


def scraped(url: str) -> str:
    return httpx.get(f"{url}/metrics").raise_for_status().text


def test_a_door_for_metrics_is_off_until_the_settings_open_it(folder, unused_tcp_port):
    settings = head(folder, "metrics") + door("127.0.0.1:0", LOCAL)
    daemon = Daemon(folder / "metrics.toml", settings)
    try:
        assert list(daemon.doors) == ["127.0.0.1:0"]
        daemon.reload(settings + METRICS.replace(":0", f":{unused_tcp_port}"), "settings.read_again")
        assert login(connect(daemon.doors["127.0.0.1:0"])) == []
        url = f"http://127.0.0.1:{unused_tcp_port}"
        assert 'xenapi_sessions{authentication="local"} 1.0' in scraped(url)
        daemon.reload(settings, "settings.read_again")
        with pytest.raises(httpx.ConnectError):
            scraped(url)
    finally:
        assert daemon.stop() == 0
    daemon = Daemon(folder / "metrics.toml", settings + METRICS)
    try:
        assert login(connect(daemon.doors["127.0.0.1:0"])) == []
        assert login(connect(daemon.doors["127.0.0.1:0"]), "wrong") != []
        told = scraped(daemon.doors["metrics 127.0.0.1:0"])
        assert 'xenapi_sessions{authentication="local"} 1.0' in told
        assert 'xenapi_errors_total{code="SESSION_AUTHENTICATION_FAILED"} 1.0' in told
        assert USER not in told
    finally:
        assert daemon.stop() == 0


def test_metrics_are_sent_in_clear_to_other_machines_only_if_asked_to(tmp_path):
    daemon = Daemon(tmp_path / "f.toml", '[[xenapid.metrics]]\nlisten = "*:0"\n')
    assert daemon.stop() == 1
    assert "xenapid.metrics[0].listen would send metrics in clear to other machines" in daemon.errors[0]
