# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""``opendr-engine``: entry points of the engine's daemons, the same on Linux and Windows."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .errors import EngineError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand and return its exit code, 1 after an error that was printed."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except EngineError as error:
        sys.stderr.write(f"{error.code}: {error}\n" + (f"{error.hint}\n" if error.hint else ""))
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="opendr-engine", description="Daemons of the OpenDR engine.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    mover = commands.add_parser("mover", help="read source disks and write target disks")
    mover.add_argument("--config", required=True, metavar="FILE", help="JSON file, see docs/design/mover_protocol.md")
    mover.set_defaults(run=_run_mover)
    session = commands.add_parser("session", help="run one job session; reads its topology from standard input")
    session.set_defaults(run=_run_session)
    return parser


def _run_mover(options: argparse.Namespace) -> int:
    from .mover.daemon import run

    run(options.config)
    return 0


def _run_session(_options: argparse.Namespace) -> int:
    from .worker import run

    return run()


if __name__ == "__main__":
    raise SystemExit(main())
