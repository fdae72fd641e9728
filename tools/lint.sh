#!/usr/bin/env bash
# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# All linters, each in its turn, and at the end which of them failed. `make lint` sets the environment.
#
#     tools/lint.sh [NAME...]        # only these: format ruff mypy shell ansible-lint docs changelog archive sanity

set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
collection=.build/tree/ansible_collections/opendr/hyperv
wanted=" $* "
failed=()

check() { # name, command
    local name=$1 began=$SECONDS
    shift
    [ "$wanted" = "  " ] || [[ $wanted == *" $name "* ]] || return 0
    printf '\n== %s\n' "$name"
    if "$@"; then
        printf '== %s: %d s\n' "$name" "$((SECONDS - began))"
    else
        printf '== %s FAILED\n' "$name"
        failed+=("$name")
    fi
}

check format ruff format --check
check ruff ruff check
check mypy mypy
check shell shellcheck .ci/run tools/*.sh
check ansible-lint ansible-lint --offline --profile production
check docs antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs self --check-extra-docs-refs \
    "$collection"
check changelog antsibull-changelog lint
check archive ansible-galaxy collection build --force --output-path .build/dist
check sanity tools/sanity.sh

if [ ${#failed[@]} -gt 0 ]; then
    printf '\nlint failed: %s\n' "${failed[*]}"
    exit 1
fi
printf '\nlint passed\n'
