# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import RequestError
from ansible_collections.opendr.hyperv.plugins.plugin_utils.topology import Inventory, Topology

MANAGER = {
    "opendr_manager_certificate": "/etc/opendr/manager.pem",
    "opendr_manager_key": "/etc/opendr/manager.key",
    "opendr_manager_ca": "/etc/opendr/ca.pem",
}
HOST = {"ansible_host": "10.1.0.5", "ansible_user": "repl", "ansible_password": "S3cret!"}


def resolve(**hosts: dict[str, Any]) -> Topology:
    variables = {"m": MANAGER, "hv_a": HOST, **hosts}
    return Inventory(variables).topology(manager="m", hosts=["hv_a"], movers=["hv_a"])


def test_variables_of_the_psrp_connection_plugin_are_understood() -> None:
    host = {
        **HOST,
        "ansible_port": "15986",
        "ansible_psrp_auth": "basic",
        "ansible_psrp_ca_cert": "/pki/ca.pem",
        "ansible_psrp_configuration_name": "HvReplication",
        "ansible_psrp_negotiate_delegate": "yes",
    }
    assert resolve(hv_a=host).settings["hosts"]["hv_a"] == {
        "address": "10.1.0.5",
        "user": "repl",
        "port": 15986,
        "auth": "basic",
        "ca_cert": "/pki/ca.pem",
        "configuration_name": "HvReplication",
        "negotiate_delegate": True,
    }


def test_psrp_variables_win_over_the_general_ones() -> None:
    host = {**HOST, "ansible_psrp_host": "hv-a.example.com", "ansible_psrp_user": "other"}
    settings = resolve(hv_a=host).settings["hosts"]["hv_a"]
    assert (settings["address"], settings["user"]) == ("hv-a.example.com", "other")


def test_a_host_without_address_is_reached_by_its_inventory_name() -> None:
    settings = resolve(hv_a={}).settings
    assert settings["hosts"]["hv_a"]["address"] == "hv_a"
    assert settings["movers"]["hv_a"]["address"] == "hv_a"


def test_password_is_among_the_secrets_only() -> None:
    topology = resolve()
    assert topology.secrets == {"passwords": {"hv_a": "S3cret!"}, "proxies": {}}
    assert "S3cret!" not in repr(topology)


def test_proxy_is_among_the_secrets_only_since_its_url_may_hold_a_password() -> None:
    topology = resolve(hv_a={**HOST, "ansible_psrp_proxy": "http://me:hush@proxy:3128"})
    assert topology.secrets["proxies"] == {"hv_a": "http://me:hush@proxy:3128"}
    assert "hush" not in str(topology.settings) + repr(topology)


def test_a_host_with_a_client_certificate_needs_neither_user_nor_password() -> None:
    host = {
        "ansible_psrp_auth": "certificate",
        "ansible_psrp_certificate_pem": "/pki/me.pem",
        "ansible_psrp_certificate_key_pem": "/pki/me.key",
    }
    topology = resolve(hv_a=host)
    assert topology.settings["hosts"]["hv_a"]["certificate_pem"] == "/pki/me.pem"
    assert topology.secrets == {"passwords": {}, "proxies": {}}


def test_mover_variables_say_where_a_mover_answers() -> None:
    host = {**HOST, "opendr_mover_address": "192.0.2.7", "opendr_mover_port": "7777"}
    assert resolve(hv_a=host).settings["movers"] == {"hv_a": {"address": "192.0.2.7", "port": 7777}}


def test_a_name_twice_is_resolved_once() -> None:
    inventory = Inventory({"m": MANAGER, "hv_a": HOST})
    topology = inventory.topology(manager="m", hosts=["hv_a", "hv_a"], movers=[])
    assert list(topology.settings["hosts"]) == ["hv_a"]


def refusal(inventory: dict[str, dict[str, Any]]) -> RequestError:
    with pytest.raises(RequestError) as caught:
        Inventory(inventory).topology(manager="m", hosts=["hv_a"], movers=["proxy_a1"])
    return caught.value


def test_unknown_host_is_named() -> None:
    error = refusal({"m": MANAGER, "hv_a": HOST})
    assert error.reason == "host_unknown"
    assert "host 'proxy_a1' is not in the inventory" in error.message


def test_missing_manager_certificate_names_host_and_variable() -> None:
    error = refusal({"m": {}, "hv_a": HOST, "proxy_a1": {}})
    assert error.reason == "variable_missing"
    assert error.message == "host m has no variable opendr_manager_certificate"


def test_missing_password_names_host_and_variable() -> None:
    host = {"ansible_user": "repl", "ansible_psrp_auth": "basic"}
    error = refusal({"m": MANAGER, "hv_a": host, "proxy_a1": {}})
    assert error.reason == "host_settings"
    assert "host hv_a" in error.message
    assert "ansible_password must be set" in error.message


@pytest.mark.parametrize("variable", ["ansible_psrp_protocol", "ansible_psrp_cert_validation"])
def test_way_round_verification_is_refused(variable: str) -> None:
    value = {"ansible_psrp_protocol": "http", "ansible_psrp_cert_validation": "ignore"}[variable]
    error = refusal({"m": MANAGER, "hv_a": {**HOST, variable: value}, "proxy_a1": {}})
    assert variable in error.message


def test_option_that_names_an_unknown_host_is_named_too() -> None:
    with pytest.raises(RequestError) as caught:
        Inventory({"m": MANAGER}).require("hv_z", option="target_host")
    assert caught.value.message == "option target_host: 'hv_z' is not in the inventory"
    assert caught.value.hint == "add it to the inventory, or correct target_host"


def test_free_space_limits_are_part_of_a_host_and_those_that_cannot_be_are_refused() -> None:
    host = {**HOST, "opendr_free_space": [{"path": "D:\\", "percent": 10, "size": "20 GiB"}]}
    assert resolve(hv_a=host).settings["hosts"]["hv_a"]["free_space"] == [
        {"path": "D:\\", "percent": 10.0, "size": 20 * 2**30}
    ]
    nothing: tuple[Any, ...] = (None, "", [])
    for empty in nothing:
        assert "free_space" not in resolve(hv_a={**HOST, "opendr_free_space": empty}).settings["hosts"]["hv_a"]
    error = refusal({"m": MANAGER, "hv_a": {**HOST, "opendr_free_space": 20}, "proxy_a1": {}})
    assert error.message.startswith("host hv_a: opendr_free_space is 20, want a list")


@pytest.mark.parametrize("value", ["https", "0", 65536, "80.5"])
def test_port_that_cannot_be_names_host_variable_and_value(value: Any) -> None:
    error = refusal({"m": MANAGER, "hv_a": {**HOST, "ansible_port": value}, "proxy_a1": {}})
    assert error.reason == "variable_invalid"
    assert error.message == f"host hv_a: ansible_port is {value!r}, want a port from 1 to 65535"
    assert error.hint == "correct ansible_port of hv_a in the inventory"
