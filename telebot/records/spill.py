"""Where rows wait on disk while the database cannot take them: one JSON line each, in order.

`writer.py` puts them here when its memory is full or it must stop, and takes them back when the
database answers again, at the latest at the next start.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from telebot.records.rows import Row, from_line, to_line

MAX_BYTES = 1 << 28
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Spill:
    """The file ``data/unwritten.jsonl`` (0600). Made when first needed, gone when taken back."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.waiting = path.exists()  # rows of an earlier start, or of this one
        self._file: BinaryIO | None = None
        self._read_to = self._peeked_to = 0

    def put(self, rows: Iterable[Row]) -> int:
        """Append; returns how many found room, on the disk too. Raises OSError."""
        if self._file is None:
            self._file = os.fdopen(
                os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab", buffering=0
            )
            self.waiting = True
        written, size = 0, self._file.seek(0, os.SEEK_END)
        for row in rows:
            line = to_line(row)
            if size + len(line) > self.max_bytes or not self._whole(line, size):
                break
            size += len(line)
            written += 1
        return written

    def _whole(self, line: bytes, size: int) -> bool:
        """Append all of `line` to a file of `size` bytes, or nothing of it: half a line would
        spoil the next one too."""
        assert self._file is not None
        try:
            if self._file.write(line) == len(line):
                return True
        except OSError as error:
            if error.errno not in FULL:
                raise
        self._file.truncate(size)
        return False

    def peek(self, count: int) -> list[Row]:
        """The next `count` rows; a torn or foreign line is passed over."""
        rows: list[Row] = []
        if not self.path.exists():
            return rows  # somebody took it away
        with self.path.open("rb") as file:
            file.seek(self._read_to)
            while len(rows) < count and (line := file.readline()):
                try:
                    rows.append(from_line(line))
                except (ValueError, TypeError):
                    continue
            self._peeked_to = file.tell()
        return rows

    def taken(self) -> None:
        """What `peek` gave is in the database."""
        self._read_to = self._peeked_to

    def clear(self) -> None:
        """Everything was taken: the file goes."""
        self.close()
        self.path.unlink(missing_ok=True)
        self._read_to = 0
        self.waiting = False

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
