"""What holds for every test: one marker a module, where shared modules are found, and who goes
first when tests run side by side (`make test`).

Conversations in real time come first, the longest before the others, each in whichever process is
free. Everything else follows, a module in one process, behind whoever still talks: no model being
loaded next door may break up a voice. The last process talks to nobody: from the beginning it uses
what the others leave of the machine, for tests to which time means nothing.
"""

from __future__ import annotations

import gc
import os
import sys
from collections import Counter
from collections.abc import Generator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

HERE = Path(__file__).parent
KINDS = ("unit", "wire", "peers", "e2e", "soak")
REAL_TIME = ("e2e", "soak")
# what nobody should have to wait for in the end
LONGEST = (
    "test_openapi", "test_failover", "test_put_through", "test_canary_keys", "test_cloud_carriers",
    "test_direct_sessions", "test_pbx", "test_session_keys", "test_session_changes",
    "test_client_sessions", "test_sip_out",
)  # fmt: skip
# thousands of questions beside a conversation break up its voice
IN_NO_HURRY = ("test_openapi",)
# whose parts wait for one another, however long it takes
TIMELESS = (
    "tests/e2e/test_openapi.py",
    *(
        f"tests/peers/test_{name}"
        for name in (
            "api_keys", "app", "budgets", "client", "commands", "console", "docs", "idempotency",
            "records", "voice_api", "voice_keys", "voice_portable", "voice_preferences",
            "voice_reports",
        )
    ),
    "tests/unit/",
    "tests/wire/",
)  # fmt: skip
BEHIND = 5  # how much nicer a process is that is in no hurry
LAST = 12  # and the one that never talks
FEW = 2  # processes that talk all
HAS_LEFT = pytest.StashKey[bool]()

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
from leaving import leave  # noqa: E402
from rewritten import rewrite  # noqa: E402
from shared_phrases import share  # noqa: E402


def pytest_configure(config: pytest.Config) -> None:
    """Before the processes begin."""
    share(config)
    if getattr(config.option, "numprocesses", None):
        rewrite(config, sorted(HERE.rglob("test_*.py")))


def pytest_collection_finish() -> None:
    """What was collected stays: a collector that looks for garbage need not walk through it."""
    gc.freeze()


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
    return kinds_of(item)[0] in REAL_TIME and item.path.stem not in IN_NO_HURRY


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    last = len(LONGEST)
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: (not in_real_time(item), places.get(item.path.stem, last)))


class Together(LoadScopeScheduling):
    """What one process does before it is given more: a module; of conversations each, but where
    those of a module have a server of their own.

    Marks for groups would say the same, but the node ids that pytest-xdist 3.8 writes them into are
    not read by pytest 9.2 any more."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return nodeid if file.startswith("tests/e2e/") and not _has_own_server(file) else file

    def _assign_work_unit(self, node: WorkerController) -> None:
        if is_last(node.gateway.id, self.numnodes) and (scope := self._timeless()):
            self.workqueue.move_to_end(scope, last=False)
        super()._assign_work_unit(node)

    def _reschedule(self, node: WorkerController) -> None:
        left = not is_last(node.gateway.id, self.numnodes) or self._timeless()
        if left or node.shutting_down:
            super()._reschedule(node)
        else:
            node.shutdown()

    def _timeless(self) -> str:
        """What comes next of it; "" where nothing is left."""
        return next((scope for scope in self.workqueue if scope.startswith(TIMELESS)), "")


def is_last(name: str, count: int) -> bool:
    """This process is the one that talks to nobody."""
    return count > FEW and name == f"gw{count - 1}"


@cache
def _has_own_server(file: str) -> bool:
    return 'scope="module"' in (HERE.parent / file).read_text(encoding="utf-8")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    return Together(config, log) if config.getoption("dist") == "loadscope" else None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A process that has no conversation left stands behind those that have."""
    stash = item.config.stash
    name = os.environ.get("PYTEST_XDIST_WORKER")
    if name and not in_real_time(item) and HAS_LEFT not in stash:
        stash[HAS_LEFT] = True
        leave()
        count = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        os.nice(LAST if is_last(name, count) else BEHIND)
