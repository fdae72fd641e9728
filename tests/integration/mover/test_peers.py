# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who a mover talks to: certificates, roles, and what else comes to its port."""

from __future__ import annotations

import datetime
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.mover_client import MoverClient
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.tls import Patience
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import (
    RequestError,
    TransportError,
)
from ansible_collections.opendr.hyperv.tests.lab.mover import LabMover, tls_files
from ansible_collections.opendr.hyperv.tests.lab.pki import Credentials, LabAuthority

from .sites import QUICK, TARGET_HOST, TARGET_PREFIX, Site, reason_of

PATIENCE = Patience(connect=5.0, silence=5.0, heartbeat=1.0)


def client_with(site: Site, credentials: Credentials, *, name: str = "proxy-b") -> MoverClient:
    return MoverClient(name, ("127.0.0.1", site.target.port), files=tls_files(credentials), patience=PATIENCE)


def assert_serves(site: Site) -> None:
    with site.target.client() as client:
        assert client.describe().name == "proxy-b"


def test_another_authority_is_not_trusted_in_either_direction(site: Site, tmp_path: Path) -> None:
    other = LabAuthority(tmp_path / "other-pki")
    theirs = other.issue("manager-lab", role="manager")
    with client_with(site, theirs) as client:
        assert reason_of(client.describe, RequestError) == "certificate_untrusted"
    mixed = replace(theirs, ca=site.authority.ca_file)
    with client_with(site, mixed) as client:
        assert reason_of(client.describe, RequestError) == "certificate_untrusted"
    assert_serves(site)


def test_an_expired_certificate_is_told(site: Site) -> None:
    expired = site.authority.issue("manager-old", role="manager", valid=datetime.timedelta(hours=-1))
    with client_with(site, expired) as client, pytest.raises(RequestError) as caught:
        client.describe()
    assert caught.value.reason == "certificate_expired"
    assert f"mover proxy-b at 127.0.0.1:{site.target.port} refuses our certificate" in caught.value.message
    assert str(expired.certificate) in caught.value.message
    assert "of manager manager-old, valid until 20" in caught.value.message
    assert "issue a new one for the same name" in caught.value.hint


def test_a_mover_with_an_expired_certificate_does_not_start(tmp_path: Path) -> None:
    authority = LabAuthority(tmp_path)
    mover = LabMover("proxy-old", tmp_path, authority=authority, access=[])
    authority.issue("proxy-old", role="mover", valid=datetime.timedelta(hours=-1))
    with pytest.raises(RuntimeError, match=r"certificate .*proxy-old.pem cannot be used with CA .*expired"):
        mover.start()


def test_a_mover_with_the_certificate_of_another_does_not_start(tmp_path: Path) -> None:
    authority = LabAuthority(tmp_path)
    mover = LabMover("proxy-new", tmp_path, authority=authority, access=[])
    for suffix in (".pem", ".key"):
        (tmp_path / f"mover-proxy-new{suffix}").unlink()
    other = authority.issue("manager-x", role="manager")
    other.certificate.rename(tmp_path / "mover-proxy-new.pem")
    other.key.rename(tmp_path / "mover-proxy-new.key")
    with pytest.raises(RuntimeError, match="is the certificate of manager manager-x, want mover proxy-new"):
        mover.start()


def test_another_mover_at_the_address_is_told(site: Site) -> None:
    with client_with(site, site.authority.issue("manager-3", role="manager"), name="proxy-z") as client:
        assert reason_of(client.describe, RequestError) == "peer_wrong"


def test_nobody_at_the_address_is_told(site: Site) -> None:
    site.target.kill()
    with site.target.client() as client:
        assert reason_of(client.describe, TransportError) == "unreachable"
    site.target.start()


def test_who_does_not_shake_hands_is_let_go(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.target.port), timeout=30.0) as intruder:
        begin = time.monotonic()
        assert intruder.recv(1) == b""
    assert time.monotonic() - begin >= QUICK["connect"] - 1.0


@pytest.mark.parametrize("junk", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" + bytes(300), b"\xff" * 70000])
def test_junk_on_the_port_does_no_harm(site: Site, junk: bytes) -> None:
    with socket.create_connection(("127.0.0.1", site.target.port)) as intruder:
        intruder.sendall(junk)
        assert_serves(site)


def test_a_mover_describes_itself(site: Site) -> None:
    with site.target.client() as client:
        info = client.describe()
    assert info.roots == (f"{TARGET_HOST}:{TARGET_PREFIX}",)
    assert time.time() < info.certificate_expires_at < time.time() + 91 * 86400


def test_a_client_tells_a_lost_connection_and_makes_a_new_one_for_the_next_call(site: Site) -> None:
    with site.target.client() as client:
        before = client.describe()
        site.target.kill()
        site.target.start()
        assert reason_of(client.describe, TransportError) in ("connection_lost", "connection_closed")
        assert client.describe() == before
        site.target.kill()
        assert reason_of(client.describe, TransportError) in ("connection_lost", "connection_closed")
        assert reason_of(client.describe, TransportError) == "unreachable"
        site.target.start()
        assert client.describe() == before


def test_many_threads_may_share_a_client(site: Site) -> None:
    with site.target.client() as client, ThreadPoolExecutor(8) as pool:
        names = pool.map(lambda _index: client.describe().name, range(64))
        assert set(names) == {"proxy-b"}
