#!/usr/bin/env bash
# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Renews uv.lock (`make lock`), and its exports for a set-up without uv; `tools/lock.sh --check` fails when one is stale.

set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
uv=${UV:-uv}
"$uv" --version >/dev/null 2>&1 || uv=.build/bootstrap/bin/uv
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT

if [ "${1:-}" = --check ]; then
    "$uv" lock --quiet --check --no-config
else
    "$uv" lock --no-config "$@"
fi
for group in run dev; do
    file=tools/requirements-$group.txt
    {
        echo "# Written by tools/lock.sh from uv.lock, for tools/setup.sh on a machine without uv. Do not edit."
        "$uv" export --quiet --frozen --no-config --no-header --no-annotate --no-default-groups --group "$group"
    } >"$new/$group"
    if [ "${1:-}" = --check ]; then
        cmp "$new/$group" "$file" || { echo "$file is stale: run make lock" >&2; exit 1; }
    else
        cp "$new/$group" "$file"
    fi
done
