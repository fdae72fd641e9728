#!/usr/bin/env bash
# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Tries the set-up where people stumble: from a fresh clone, in an empty home, with a bare environment, with uv and without,
# and as an ordinary user when root runs this. What was committed is what is tried.

set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 711 "$work"

try() { # user, uv or no
    local clone="$work/$1-$2" home="$work/$1-$2-home" become=()
    git clone --quiet . "$clone"
    mkdir "$home"
    if [ "$1" != self ]; then
        chown -R "$1:" "$clone" "$home"
        become=(setpriv --reuid "$1" --regid "$(id -g "$1")" --clear-groups)
    fi
    "${become[@]}" env -i --chdir="$clone" HOME="$home" PATH=/usr/local/bin:/usr/bin:/bin OPENDR_SETUP_UV="$2" \
        bash -c 'tools/setup.sh run && .venv/bin/ansible --version >/dev/null &&
            PYTHONPATH=.build/tree .venv/bin/python -c "
import pypsrp, sqlalchemy, pyvhdi
from ansible_collections.opendr.hyperv.plugins.module_utils._engine import libraries
assert len(libraries.keyed_blake3(bytes(32))(b\"x\")) == 32
"'
    echo "set-up works: user $1, uv $2"
}

for uv in yes no; do
    try self "$uv"
    [ "$(id -u)" != 0 ] || try nobody "$uv"
done
