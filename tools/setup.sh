#!/usr/bin/env bash
# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Makes .venv from the lock and links the checkout to where Python and Ansible look for it. Asks nothing.
#
#     tools/setup.sh run|dev
#
# `run` is enough for the demo, `dev` has the test tools as well. PYTHON names an interpreter, UV a uv program;
# OPENDR_SETUP_UV=no goes the way without uv. A second call with nothing to do takes a few milliseconds.

set -euo pipefail

group=${1:?run or dev}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
bootstrap=$root/.build/bootstrap
readonly group root bootstrap
export UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# Trust what the system trusts, as pip does: a site may have a certificate authority of its own. Two names for two ages of uv.
export UV_SYSTEM_CERTS=1 UV_NATIVE_TLS=1
unset VIRTUAL_ENV UV_PROJECT_ENVIRONMENT PYTHONPATH PYTHONHOME
# A home that cannot be written (HOME=/nonexistent, a service account) has no cache.
[ -w "${HOME:-/nonexistent}" ] || export UV_NO_CACHE=1 PIP_NO_CACHE_DIR=1

say() { printf '%s\n' "setup: $*" >&2; }

# Print the real interpreter behind a name. A pyenv shim may stand for an older Python, for none, or lie in a folder
# that this user cannot read: so each candidate is run, and asked for its path.
real_python() {
    local path
    path=$("$1" -I -c 'import os, sys; sys.version_info >= (3, 11) and print(os.path.realpath(sys.executable))' 2>/dev/null)
    [ -n "$path" ] && printf '%s\n' "$path"
}

find_python() {
    local name
    if [ -n "${PYTHON:-}" ]; then
        real_python "$PYTHON" && return
        say "PYTHON=$PYTHON is no Python 3.11 or later. Correct it, or leave it out to have one looked for"
        return 1
    fi
    for name in python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
        real_python "$name" && return
    done
    say "no Python 3.11 or later found. Install one, or name it: make setup PYTHON=/path/to/python3"
    return 1
}

# Is it a uv that knows dependency groups and this lock? A pyenv shim named uv may stand for nothing.
usable_uv() {
    local version
    version=$("$1" --version 2>/dev/null) || return 1
    printf '0.6.0\n%s\n' "$(cut -d' ' -f2 <<<"$version")" | sort --check --version-sort 2>/dev/null
}

# Set uv to a uv program, installing it below .build when there is none. Each way is tried, since Debian's python3
# comes with or without venv, and with or without pip.
find_uv() {
    [ "${OPENDR_SETUP_UV:-yes}" != no ] || return 1
    local candidate
    for candidate in ${UV:+"$UV"} uv "$bootstrap/bin/uv"; do
        if usable_uv "$candidate"; then uv=$candidate; return; fi
    done
    mkdir -p "$bootstrap"
    if "$python" -m pip --version >/dev/null 2>&1; then
        "$python" -m pip install --quiet --target "$bootstrap" uv >"$bootstrap/log" 2>&1 || true
    elif "$python" -m venv "$bootstrap" >/dev/null 2>&1; then
        "$bootstrap/bin/python" -m pip install --quiet uv >"$bootstrap/log" 2>&1 || true
    fi
    uv=$bootstrap/bin/uv
    usable_uv "$uv"
}

# The way without uv: venv, or virtualenv, and pip with the exported lock (hashes included).
plain_venv() {
    rm -rf .venv
    "$python" -m venv .venv >/dev/null 2>&1 || "$python" -m virtualenv --quiet .venv >/dev/null 2>&1 || return 1
    .venv/bin/python -m pip install --quiet --require-hashes --requirement "tools/requirements-$group.txt"
}

# On Debian and Ubuntu venv is a package of its own: install it when allowed, else say how.
install_venv_package() {
    local command=(apt-get install --yes --no-install-recommends python3-venv)
    if [ "$(id -u)" = 0 ] && [ -x /usr/bin/apt-get ] && [ "$python" = "$(real_python /usr/bin/python3)" ]; then
        say "installing python3-venv"
        { DEBIAN_FRONTEND=noninteractive apt-get update && DEBIAN_FRONTEND=noninteractive "${command[@]}"; } >&2
    else
        say "$python can make no virtual environment, and uv is not here. Run this, then again make setup:"
        say "    sudo ${command[*]}"
        return 1
    fi
}

make_venv() {
    local uv=
    if find_uv; then
        say "$("$uv" --version), $("$python" -V), group $group"
        "$uv" sync --quiet --frozen --no-config --python "$python" --no-default-groups --group "$group"
        return
    fi
    say "without uv, $("$python" -V), group $group"
    plain_venv || { install_venv_package && plain_venv; }
}

link_tree() {
    mkdir -p .build/tree/ansible_collections/opendr
    # Relative, so that a moved checkout keeps working.
    ln -sfn ../../../.. .build/tree/ansible_collections/opendr/hyperv
}

main() {
    link_tree
    local stamp
    stamp="$root $(sha256sum uv.lock)"
    local python=
    if [ -n "${PYTHON:-}" ]; then python=$(find_python); fi
    # Scripts in a virtual environment hold its path, so the stamp names the checkout too.
    if [ "$(cat .venv/opendr-dev 2>/dev/null)" = "$stamp" ] || [ "$(cat ".venv/opendr-$group" 2>/dev/null)" = "$stamp" ]; then
        if [ -z "$python" ] || [ "$python" = "$(real_python .venv/bin/python)" ]; then return; fi
    fi
    rm -f .venv/opendr-run .venv/opendr-dev
    python=${python:-$(find_python)}
    make_venv
    printf '%s\n' "$stamp" >".venv/opendr-$group"
}

# Two calls at once (make -j, two terminals) must not build the same environment.
mkdir -p .build
exec 9>.build/setup.lock
flock 9
main
