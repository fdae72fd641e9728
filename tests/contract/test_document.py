# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host contract's page says what the table says."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.contract import FUNCTIONS
from ansible_collections.opendr.hyperv.tests.contract.document import PATH, with_parts
from ansible_collections.opendr.hyperv.tests.lab.hyperv.switches import Switches

TEXT = PATH.read_text(encoding="utf-8")


def test_generated_parts_are_up_to_date():
    assert with_parts(TEXT) == TEXT, "run python -m ansible_collections.opendr.hyperv.tests.contract.document"


def test_page_without_a_place_for_a_part_is_an_error():
    with pytest.raises(ValueError, match="no place for functions"):
        with_parts("# Host contract\n")


def test_prose_names_only_functions_that_exist():
    named = set(re.findall(r"\b[A-Z][a-z]+-Hvr\w+", TEXT))
    assert named == set(FUNCTIONS)


def test_every_switch_belongs_to_a_probe_of_the_page():
    probes = set(re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE))
    assert {each.metadata["probe"] for each in fields(Switches)} - {"-"} <= probes
