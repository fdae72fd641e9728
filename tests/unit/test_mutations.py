# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every rule that ``make mutants`` removes is still where the table says, and so is the test that holds it."""

from __future__ import annotations

import ast

import pytest

from ansible_collections.opendr.hyperv.tests.mutations.__main__ import ROOT, mutated, path_of
from ansible_collections.opendr.hyperv.tests.mutations.document import PATH, with_rules
from ansible_collections.opendr.hyperv.tests.mutations.table import MUTATIONS

RULES = [mutation.rule for mutation in MUTATIONS]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=RULES)
def test_rule_can_be_removed_and_the_code_is_still_code(mutation):
    source = (ROOT / path_of(mutation)).read_text(encoding="utf-8")
    ast.parse(mutated(mutation, source))


@pytest.mark.parametrize("mutation", MUTATIONS, ids=RULES)
def test_test_of_a_rule_exists(mutation):
    path, _colons, name = mutation.test.partition("::")
    defined = {
        each.name
        for each in ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8")).body
        if hasattr(each, "name")
    }
    assert name in defined


def test_rules_are_told_apart():
    assert len(set(RULES)) == len(RULES)


def test_place_that_is_not_there_once_is_refused():
    with pytest.raises(ValueError, match="2 times"):
        mutated(MUTATIONS[0], MUTATIONS[0].old * 2)


def test_document_shows_the_table():
    text = PATH.read_text(encoding="utf-8")
    assert text == with_rules(text)
