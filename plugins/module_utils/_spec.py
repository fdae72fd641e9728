# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection.
"""Argument specifications that modules share; each has its documentation fragment of the same meaning."""

from __future__ import annotations

import typing as t

Options = dict[str, dict[str, t.Any]]

MANAGER: Options = {"state_dir": {"type": "path", "default": "/var/lib/opendr"}}
CATALOG: Options = {"catalog_url": {"type": "str", "no_log": True}}
# What the action plugin resolves from the inventory; users give neither.
TOPOLOGY: Options = {
    "topology": {
        "type": "dict",
        "options": {
            "engine": {"type": "path"},
            "manager": {"type": "dict", "required": True},
            "hosts": {"type": "dict", "required": True},
            "movers": {"type": "dict", "required": True},
        },
    },
    "secrets": {
        "type": "dict",
        "no_log": True,
        "options": {
            "passwords": {"type": "dict", "no_log": True, "default": {}},
            "proxies": {"type": "dict", "no_log": True, "default": {}},
        },
    },
}
JOB: Options = {
    "vms": {"type": "list", "elements": "str"},
    "source_host": {"type": "str"},
    "target_host": {"type": "str"},
    "target_path": {"type": "str"},
    "suffix": {"type": "str", "default": "_replica"},
    "restore_points": {"type": "int", "default": 7},
    "block_size": {"type": "str", "default": "1MiB"},
    "compression": {"type": "str", "choices": ["none", "fast", "optimal", "high"], "default": "optimal"},
    "consistency": {
        "type": "str",
        "choices": ["application", "crash", "application_or_crash"],
        "default": "application_or_crash",
    },
    "source_proxies": {"type": "list", "elements": "str", "default": []},
    "target_proxies": {"type": "list", "elements": "str", "default": []},
    "switches": {"type": "dict", "default": {}},
    "on_touched": {"type": "str", "choices": ["compare", "fail"], "default": "compare"},
    "rpo_seconds": {"type": "int"},
}
STOP: Options = {
    "stop": {"type": "str", "choices": ["now", "after_disk", "after_machine"], "default": "now"},
    "stopped_by": {"type": "str"},
}
# What the action plugin does after the start; the module itself never waits.
FOLLOW: Options = {
    "wait": {"type": "bool", "default": True},
    "timeout": {"type": "int", "default": 86400},
    "poll_interval": {"type": "int", "default": 2},
    "progress": {"type": "str", "choices": ["lines", "none"], "default": "lines"},
}
JOB_MODULE: Options = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent", "started", "stopped", "disabled"], "default": "present"},
    **JOB,
    **STOP,
    **MANAGER,
    **CATALOG,
    **FOLLOW,
    **TOPOLOGY,
}
JOB_RULES: dict[str, t.Any] = {
    "required_together": [["vms", "source_host", "target_host", "target_path"]],
    "required_if": [["state", "present", ["vms"]]],
}
REPLICA_MODULE: Options = {
    "name": {"type": "str", "required": True},
    "vms": {"type": "list", "elements": "str"},
    "verify": {"type": "str", "choices": ["sample", "full"]},
    "sample_percent": {"type": "int", "default": 5},
    "sample_seed": {"type": "int"},
    "restore_point": {"type": "str"},
    "pinned": {"type": "bool"},
    **MANAGER,
    **CATALOG,
    **FOLLOW,
    **TOPOLOGY,
}
REPLICA_RULES: dict[str, t.Any] = {
    "required_one_of": [["verify", "restore_point"]],
    "required_together": [["restore_point", "pinned"]],
    "mutually_exclusive": [["verify", "restore_point"], ["vms", "restore_point"]],
}
INFO_MODULE: Options = {
    "gather": {
        "type": "list",
        "elements": "str",
        "choices": ["jobs", "sessions", "replicas"],
        "default": ["jobs", "sessions", "replicas"],
    },
    "name": {"type": "str"},
    "sessions_max": {"type": "int", "default": 20},
    "host": {"type": "str"},
    "path": {"type": "str"},
    **MANAGER,
    **CATALOG,
    **TOPOLOGY,
}
INFO_RULES: dict[str, t.Any] = {"required_together": [["host", "path"]]}
SESSION_INFO_MODULE: Options = {
    "sessions": {"type": "list", "elements": "str", "default": []},
    "jobs": {"type": "list", "elements": "str", "default": []},
    "events_after": {"type": "int"},
    **MANAGER,
}
