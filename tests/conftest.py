"""What holds for every test: one marker a module, where shared modules are found, and who waits
for whom when tests run side by side (`make test`).

Real-time conversations (`e2e`) come first, in few groups of one server each; everything else is one
group a module and gives way to them, so that no model being loaded next door breaks up a voice.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).parent
KINDS = ("unit", "wire", "peers", "e2e", "soak")
REAL_TIME = ("e2e", "soak")
GIVES_WAY = 10  # niceness of what is not in real time
# e2e modules that go one after another; the others share one more group
E2E_GROUPS: dict[str, str] = {}


def _share_modules() -> None:
    """Let tests import what lies beside them: test modules themselves need no names of their own,
    these do, because they are imported by them."""
    shared = [
        path
        for path in sorted(HERE.rglob("*.py"))
        if path.name != "conftest.py" and not path.name.startswith("test_")
    ]
    twice = [name for name, count in Counter(path.stem for path in shared).items() if count > 1]
    if twice:
        raise pytest.UsageError(f"two modules below tests/ have one name: {', '.join(twice)}")
    for folder in dict.fromkeys(str(path.parent) for path in shared):
        if folder not in sys.path:
            sys.path.insert(0, folder)


_share_modules()


def kinds_of(item: pytest.Item) -> list[str]:
    """The kinds a test is marked with, each as often as it is."""
    return [mark.name for mark in item.iter_markers() if mark.name in KINDS]


def _check_kinds(items: list[pytest.Item]) -> None:
    wrong = {
        f"{item.path.relative_to(HERE.parent)} ({', '.join(kinds) or 'none'})"
        for item in items
        if len(kinds := kinds_of(item)) != 1
    }
    if wrong:
        raise pytest.UsageError(
            "a test module has exactly one of the markers "
            f"{', '.join(KINDS)}: {'; '.join(sorted(wrong))}"
        )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    _check_kinds(items)
    items.sort(key=lambda item: kinds_of(item)[0] not in REAL_TIME)
    for item in items:
        in_real_time = kinds_of(item)[0] in REAL_TIME
        group = E2E_GROUPS.get(item.path.stem, "e2e") if in_real_time else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_runtest_setup(item: pytest.Item) -> None:
    side_by_side = "PYTEST_XDIST_WORKER" in os.environ
    if side_by_side and kinds_of(item)[0] not in REAL_TIME:
        os.nice(max(0, GIVES_WAY - os.nice(0)))
