#!/usr/bin/env bash
# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Makes CPython for Windows under Wine, with the wheels that the movers need there in the versions of the lock, and prints
# its path for OPENDR_WPYTHON. The first time takes a minute; later only what is missing is done.
#
#     export OPENDR_WPYTHON=$(tools/windows_python.sh FOLDER_OF_WINPYTHON)

set -euo pipefail

winpython=$(cd "${1:?folder that holds the setup.sh of winpython}" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/.."
wheels=$(grep -oE '^(blake3|cryptography|google-crc32c|hypothesis|msgpack|pytest|pytest-timeout|xxhash|zstandard)==[^ ]+' \
    tools/requirements-dev.txt)
mkdir -p .build
# shellcheck disable=SC2086 # one argument for each wheel
if ! PYTHON=$PWD/.venv/bin/python "$winpython/setup.sh" .build/winpython $wheels >.build/winpython.log 2>&1; then
    cat .build/winpython.log >&2
    exit 1
fi
printf '%s\n' "$PWD/.build/winpython/wpython"
