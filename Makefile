# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# `make demo` and `make test` need nothing set up before. PYTHON=/path/to/python3 chooses the interpreter,
# PYTEST_ARGS adds to pytest's arguments, LINTERS chooses among the checks of tools/lint.sh.

SHELL := /bin/bash
BIN := $(CURDIR)/.venv/bin
TREE := $(CURDIR)/.build/tree
COLLECTION := ansible_collections.opendr.hyperv

# Debian keeps mke2fs and e2fsck where an ordinary user has no PATH to.
export PATH := $(BIN):$(PATH):/usr/sbin:/sbin
export PYTHONPATH := $(TREE)
export ANSIBLE_COLLECTIONS_PATH := $(TREE)
export PYTHONUNBUFFERED := 1
export PYTHON

.PHONY: help
help:
	@sed -n 's/^#: //p' Makefile

#: make demo       replicate a machine between two lab hosts, in about two minutes
.PHONY: demo
demo:
	@tools/setup.sh run
	@$(BIN)/python -m $(COLLECTION).tests.demo

#: make setup      virtual environment in .venv, from uv.lock
.PHONY: setup
setup:
	@tools/setup.sh dev

#: make test       unit, contract and integration tests; they wait more than they compute
.PHONY: test
test: setup
	@tools/system_packages.sh
	$(BIN)/python -m pytest -n 4 --dist loadgroup $(PYTEST_ARGS) tests/unit tests/contract tests/integration

#: make test-fast  format, types and unit tests: for the work itself
.PHONY: test-fast
test-fast: setup
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 $(PYTEST_ARGS) tests/unit

#: make lint       format, types, ansible-lint, documentation, changelog, archive, ansible-test sanity
.PHONY: lint
lint: setup
	@tools/lint.sh $(LINTERS)

#: make soak       long loops, property tests with new and more examples, and make mutants
.PHONY: soak
soak: setup
	@tools/system_packages.sh
	OPENDR_HYPOTHESIS=soak $(BIN)/python -m pytest -m "soak or hypothesis" -n 4 --dist loadgroup --timeout 0 \
		$(PYTEST_ARGS) tests/unit tests/contract tests/integration
	@$(MAKE) --no-print-directory mutants

#: make mutants    remove each rule of a session from a copy of the tree: its test must break
.PHONY: mutants
mutants: setup
	$(BIN)/python -m $(COLLECTION).tests.mutations $(RULES)

#: make bench      full and incremental copy against rsync, as ratios
.PHONY: bench
bench: setup
	@tools/system_packages.sh
	$(BIN)/python -m $(COLLECTION).tests.benchmarks

#: make format     let ruff format the code and fix what it can
.PHONY: format
format: setup
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

#: make lock       renew uv.lock and its exports (needs uv)
.PHONY: lock
lock:
	@tools/lock.sh $(LOCK_ARGS)

#: make clean      remove everything that was made here
.PHONY: clean
clean:
	rm -rf .ansible .build .hypothesis .mypy_cache .pytest_cache .ruff_cache .venv dist
	find plugins tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
