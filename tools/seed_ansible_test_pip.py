# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the pip that ansible-test wants into its cache, taken from PyPI with the ordinary client.

ansible-test fetches a bootstrap script for pip from a host of its own, which many networks do not let through. A script
in its cache is taken instead; this one installs the exact wheel, from the cache as well. Nothing else is changed, and
where the script is there already nothing is done.
"""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import ansible_test

STAND_IN = """\
import os
import runpy
import sys

cache = os.path.dirname(os.environ["GET_PIP"])
options = [option for option in sys.argv[1:] if option not in ("--no-setuptools", "--no-wheel")]
sys.argv[1:] = ["install", "--no-index", "--find-links", cache, *options]
sys.path.insert(0, os.path.join(cache, "pip-{version}-py3-none-any.whl"))
runpy.run_module("pip", run_name="__main__")
"""


def wanted_versions() -> list[str]:
    """Return the pip versions that this ansible-test uses."""
    source = pathlib.Path(ansible_test.__path__[0], "_internal", "python_requirements.py").read_text(encoding="utf-8")
    return sorted(set(re.findall(r"pip='([0-9.]+)'", source)))


def main() -> None:
    cache = pathlib.Path("~/.ansible/test/cache").expanduser()
    cache.mkdir(parents=True, exist_ok=True)
    versions = wanted_versions()
    if not versions:
        raise SystemExit("this ansible-test names no pip version where it did before: look into python_requirements.py")
    for version in versions:
        script = cache / f"get_pip_{version.replace('.', '_')}.py"
        if not script.exists():
            download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(cache)]
            subprocess.run([*download, f"pip=={version}"], check=True)
            script.write_text(STAND_IN.format(version=version), encoding="utf-8")


if __name__ == "__main__":
    main()
