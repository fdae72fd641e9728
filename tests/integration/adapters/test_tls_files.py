# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificate files that cannot be used: the error names the file and the variable."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.tls import TlsFiles, own_certificate
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import RequestError
from ansible_collections.opendr.hyperv.tests.lab.mover import tls_files
from ansible_collections.opendr.hyperv.tests.lab.pki import LabAuthority


@pytest.fixture
def authority(tmp_path: Path) -> LabAuthority:
    return LabAuthority(tmp_path / "pki")


@pytest.fixture
def own(authority: LabAuthority) -> TlsFiles:
    return tls_files(authority.issue("mgr", role="manager"))


def refusal(files: TlsFiles) -> RequestError:
    with pytest.raises(RequestError) as caught:
        own_certificate(files)
    return caught.value


@pytest.mark.parametrize("part", ["certificate", "key", "ca"])
@pytest.mark.parametrize("content", [None, "no PEM"], ids=["missing", "junk"])
def test_file_that_cannot_be_used_is_named_with_its_variable(
    own: TlsFiles, tmp_path: Path, part: str, content: str | None
) -> None:
    path = tmp_path / "other.pem"
    if content is not None:
        path.write_text(content)
    error = refusal(replace(own, **{part: str(path)}))
    assert error.reason == "certificate_unusable"
    assert str(path) in error.message
    variable = "certificate" if (part, content) == ("key", "no PEM") else part  # OpenSSL does not say which
    assert f"opendr_manager_{variable} " in error.hint


def test_key_of_another_certificate_is_named(own: TlsFiles, authority: LabAuthority) -> None:
    other = tls_files(authority.issue("other", role="manager"))
    error = refusal(replace(own, key=other.key))
    assert error.message == f"key {other.key} does not belong to certificate {own.certificate}"
    assert "opendr_manager_key " in error.hint


def test_expired_own_certificate_is_named(authority: LabAuthority) -> None:
    old = tls_files(authority.issue("old", role="manager", valid=datetime.timedelta(hours=-1)))
    error = refusal(old)
    assert error.reason == "certificate_expired"
    assert error.message.startswith(f"certificate {old.certificate} cannot be used with CA {old.ca}, valid until 20")
    assert "issue a new one for the same name" in error.hint


def test_own_certificate_of_a_strange_authority_is_named(own: TlsFiles, tmp_path: Path) -> None:
    error = refusal(replace(own, ca=str(LabAuthority(tmp_path / "strange").ca_file)))
    assert error.reason == "certificate_untrusted"
    assert f"certificate {own.certificate} cannot be used" in error.message
