"""Test modules as pytest rewrites them, made once for all processes of a run: each of them would do
so for itself when they begin together. What is made here is what pytest keeps beside a module
anyway (`_pytest/assertion/rewrite.py`); where that is not allowed, or is kept elsewhere by another
pytest, nothing is lost but time."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest


def rewrite(config: pytest.Config, files: Sequence[Path]) -> None:
    """Those that are not there yet, on every core."""
    count = os.cpu_count() or 1
    if sys.dont_write_bytecode or not hasattr(os, "fork"):
        return
    children = []
    for number in range(count):
        if not (child := os.fork()):
            with suppress(
                Exception
            ):  # pytest will say what is wrong with the file, or do it itself
                _rewrite(config, files[number::count])
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)


def _rewrite(config: pytest.Config, files: Sequence[Path]) -> None:
    from _pytest.assertion import rewrite as by_pytest

    state = config.stash[by_pytest.assertstate_key]
    for file in files:
        folder = by_pytest.get_cache_dir(file)
        kept = folder / (file.stem + by_pytest.PYC_TAIL)
        if by_pytest.try_makedirs(folder) and by_pytest._read_pyc(file, kept) is None:
            with suppress(SyntaxError):
                source, code = by_pytest._rewrite_test(file, config)
                by_pytest._write_pyc(state, code, source, kept)
