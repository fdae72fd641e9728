# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo prints: headings, steps with their time, tables, and the output of programs beside a rule."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TextIO

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import GiB, KiB, MiB

BOLD: Final = "1"
DIM: Final = "2"
GREEN: Final = "32"
RED: Final = "31"
CYAN: Final = "36"
WIDTH: Final = 100


class Screen:
    """Prints to a terminal in colour, to anything else without."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream = stream
        self.color = stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"

    def title(self, text: str, subtitle: str) -> None:
        self.print()
        self.print(f"  {self.paint(text, BOLD)}")
        self.print(f"  {self.paint(subtitle, DIM)}")

    def heading(self, text: str) -> None:
        self.print()
        self.print(f"  {self.paint(text, BOLD, CYAN)} {self.paint('─' * max(0, WIDTH - 3 - len(text)), DIM)}")

    def note(self, text: str) -> None:
        self.print(f"    {text}")

    def dim(self, text: str) -> None:
        self.note(self.paint(text, DIM))

    def good(self, text: str) -> None:
        self.note(f"{self.paint('✔', GREEN)} {text}")

    def bad(self, text: str) -> None:
        self.note(f"{self.paint('✘', RED, BOLD)} {text}")

    def beside_rule(self, text: str) -> None:
        """Print a line of another program; its own colours stay."""
        self.print(f"    {self.paint('│', DIM)} {text}")

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Print what is being done, and a tick with the time when it is done."""
        began = time.monotonic()
        if self.color:
            self._stream.write(f"    {self.paint('·', DIM)} {text} …")
            self._stream.flush()
        try:
            yield
        except BaseException:
            if self.color:
                self.print()
            raise
        seconds = self.paint(f"{time.monotonic() - began:.1f} s", DIM)
        self._stream.write("\r\x1b[K" if self.color else "")
        self.good(f"{text}  {seconds}")

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print rows below a head; the first column is text, the others are aligned to the right."""
        widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
        self.print()
        self.print(f"    {self.paint(_row(head, widths), BOLD)}")
        self.print(f"    {self.paint('  '.join('─' * width for width in widths), DIM)}")
        for row in rows:
            self.print(f"    {_row(row, widths)}")

    def print(self, text: str = "") -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def paint(self, text: str, *codes: str) -> str:
        return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if self.color else text


def size(count: float) -> str:
    """Bytes for people: ``31.4 MiB``."""
    for unit, name in ((GiB, "GiB"), (MiB, "MiB"), (KiB, "KiB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count:.0f} B"


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (
        cell.ljust(width) if index == 0 else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join([first, *others])
