"""What holds for every test: one marker a module, where shared modules are found, and who goes
first when tests run side by side (`make test`).

Conversations in real time come first, each module in one process with a server of its own;
everything else follows, so that no model being loaded next door breaks up a voice.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

HERE = Path(__file__).parent
KINDS = ("unit", "wire", "peers", "e2e", "soak")
REAL_TIME = ("e2e", "soak")

# how long an example takes is the machine's business
settings.register_profile(
    "telebot", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("telebot")


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


def kinds_of(node: pytest.Item | pytest.Collector) -> list[str]:
    """The kinds a test is marked with, each as often as it is."""
    return [mark.name for mark in node.iter_markers() if mark.name in KINDS]


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A module that is not marked with exactly one kind cannot be collected."""
    report = yield
    if isinstance(collector, pytest.Module):
        for node in report.result or ():
            if len(kinds := kinds_of(node)) != 1:
                report.outcome = "failed"
                report.longrepr = (
                    f"{node.name} is marked {', '.join(kinds) or 'with no kind'}; a test module "
                    f"has `pytestmark = pytest.mark.KIND` once: {', '.join(KINDS)}"
                )
                report.result = []
                break
    return report


def in_real_time(item: pytest.Item) -> bool:
    return kinds_of(item)[0] in REAL_TIME


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=in_real_time, reverse=True)
    for item in items:
        item.add_marker(pytest.mark.xdist_group(item.path.stem))
