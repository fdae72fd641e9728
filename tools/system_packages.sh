#!/usr/bin/env bash
# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Installs what the tests need from the system. Without the right to do so it prints the one command and goes on: the
# tests that miss something are skipped and named.
#
#     tools/system_packages.sh [--check]      # --check: install nothing, exit 1 when something is missing

set -euo pipefail

PATH=$PATH:/usr/sbin:/sbin
for bin in /usr/lib/postgresql/*/bin; do PATH=$PATH:$bin; done
# Program and Debian package.
readonly WANTED="
qemu-img qemu-utils
mke2fs e2fsprogs
e2fsck e2fsprogs
debugfs e2fsprogs
rsync rsync
initdb postgresql
openssl openssl
"

missing=()
while read -r program package; do
    [ -z "$program" ] || command -v "$program" >/dev/null 2>&1 || missing+=("$package")
done <<<"$WANTED"
[ ${#missing[@]} -gt 0 ] || exit 0
mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)

if [ "${1:-}" != --check ] && [ "$(id -u)" = 0 ] && [ -x /usr/bin/apt-get ]; then
    echo "installing: ${missing[*]}" >&2
    export DEBIAN_FRONTEND=noninteractive
    install=(apt-get install --yes --quiet --no-install-recommends "${missing[@]}")
    if { "${install[@]}" || { apt-get update --quiet && "${install[@]}"; }; } >&2; then
        exit 0
    fi
fi
echo "Not installed, and tests need it: ${missing[*]}. On Debian or Ubuntu:" >&2
echo "    sudo apt-get install --yes --no-install-recommends ${missing[*]}" >&2
[ "${1:-}" != --check ]
