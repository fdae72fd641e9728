# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Mapping

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.psrp_settings import (
    AUTHENTICATIONS,
    HostConnectionSettings,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import RequestError

GOOD: Mapping[str, object] = {"address": "hv-a.example", "user": "repl", "auth": "basic"}


def build(values: Mapping[str, object], *, password: str = "secret") -> HostConnectionSettings:
    return HostConnectionSettings.from_topology("hv-a", values, password=password)


def test_defaults_are_strict() -> None:
    settings = build({"address": "hv-a.example"}, password="")
    assert (settings.auth, settings.port, settings.configuration_name) == ("kerberos", 5986, "HvReplication")
    arguments = settings.wsman_arguments()
    assert arguments["ssl"] is True
    assert arguments["cert_validation"] is True
    assert arguments["no_proxy"] is True
    assert arguments["negotiate_service"] == "host"


def test_password_and_proxy_do_not_show() -> None:
    settings = HostConnectionSettings.from_topology("hv-a", GOOD, password="secret", proxy="http://me:secret@p:3128")
    assert settings.wsman_arguments()["proxy"] == "http://me:secret@p:3128"
    assert "secret" not in repr(settings)


def test_strict_values_may_be_written_down() -> None:
    written = {"protocol": "https", "cert_validation": "validate", "message_encryption": "auto"}
    assert build({**GOOD, **written}) == build(GOOD)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("protocol", "http"),
        ("cert_validation", "ignore"),
        ("cert_validation", False),
        ("auth", "digest"),
        ("port", "5986"),
        ("port", True),
        ("negotiate_delegate", 1),
        ("path", 5),
        ("operation_timeout", 30),
        ("operation_timeout", 0),
        ("colour", "red"),
        ("proxy", "http://p:3128"),
    ],
)
def test_impossible_value_is_refused_by_its_variable(word: str, value: object) -> None:
    with pytest.raises(RequestError, match=f"host hv-a: ansible_psrp_{word}={value!r} ") as caught:
        build({**GOOD, word: value})
    assert caught.value.reason == "host_settings"
    assert f"ansible_psrp_{word}" in caught.value.hint


@pytest.mark.parametrize("auth", AUTHENTICATIONS)
def test_authentication_says_what_it_needs(auth: str) -> None:
    values = {"address": "hv-a.example", "auth": auth}
    if auth == "kerberos":  # the ticket of the process will do
        assert build(values, password="").auth == auth
    else:
        with pytest.raises(RequestError, match="must be set"):
            build(values, password="")


@pytest.mark.parametrize(
    ("user", "password", "told", "not_told"),
    [("repl", "", "ansible_password", "ansible_user"), ("", "secret", "ansible_user", "ansible_password")],
)
def test_empty_credential_is_named_and_the_other_is_not(user: str, password: str, told: str, not_told: str) -> None:
    with pytest.raises(RequestError) as caught:
        build({**GOOD, "user": user}, password=password)
    for text in (caught.value.message, caught.value.hint):
        assert told in text
        assert not_told not in text


def test_basic_credentials_are_utf_8_and_others_text() -> None:
    basic = build({**GOOD, "user": "søren"}, password="пароль").wsman_arguments()
    assert (basic["username"], basic["password"]) == ("søren".encode(), "пароль".encode())
    assert build({**GOOD, "auth": "ntlm"}, password="пароль").wsman_arguments()["password"] == "пароль"


def test_float_may_be_written_as_whole_number() -> None:
    assert build({**GOOD, "reconnection_backoff": 1}).reconnection_backoff == 1
