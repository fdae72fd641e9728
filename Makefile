# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# `make demo` and `make test` need nothing set up before. PYTHON=/path/to/python3 chooses the interpreter.

BIN := $(CURDIR)/.venv/bin
TREE := $(CURDIR)/.build/tree
COLLECTION := ansible_collections.opendr.hyperv

export PATH := $(BIN):$(PATH)
export PYTHONPATH := $(TREE)
export ANSIBLE_COLLECTIONS_PATH := $(TREE)
export PYTHONUNBUFFERED := 1

.PHONY: help
help:
	@sed -n 's/^#: //p' $(MAKEFILE_LIST)

#: make setup      virtual environment in .venv, from uv.lock
.PHONY: setup
setup:
	@tools/setup.sh dev
