#!/usr/bin/env bash
# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# ansible-test sanity, with no ignore file. It insists on a real folder ansible_collections/opendr/hyperv (not a link), and
# on a git work tree of its own there: in an ignored folder of ours it would find nothing, and call that success.

set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$PWD/.venv/bin/python
copy=.build/sanity/ansible_collections/opendr/hyperv
log=$PWD/.build/sanity/log
rm -rf .build/sanity
mkdir -p "$copy"

# What git would commit: an ignored file is none of ours, a deleted one is not there.
git ls-files -z --cached --others --exclude-standard |
    while IFS= read -r -d '' name; do [ ! -e "$name" ] || printf '%s\0' "$name"; done |
    tar --create --null --files-from=- | tar --extract --directory="$copy"
if [ -n "$(find "$copy/tests/sanity" -name 'ignore*' 2>/dev/null)" ]; then
    echo "tests/sanity holds an ignore file; the rule is none" >&2
    exit 1
fi

"$python" tools/seed_ansible_test_pip.py
cd "$copy"
git init --quiet
git add --all
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
unset PYTHONPATH ANSIBLE_COLLECTIONS_PATH
PATH=${python%/*}:$PATH ansible-test sanity --python "$version" --color no "$@" 2>&1 | tee "$log"
if grep -q 'All targets skipped' "$log"; then
    echo "ansible-test found nothing to check, which is no success" >&2
    exit 1
fi
if ! grep -q 'Running sanity test "validate-modules"' "$log" && [ $# = 0 ]; then
    echo "ansible-test did not run validate-modules" >&2
    exit 1
fi
