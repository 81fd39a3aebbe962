"""What servers say word for word is made once a run, whichever process of it starts them."""

from __future__ import annotations

import os
from shutil import rmtree
from tempfile import mkdtemp

import pytest

VARIABLE = "PHRASES_OF_THIS_RUN"


def share(config: pytest.Config) -> None:
    """Make the folder, in the process that the others are started by; it goes with the run."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        folder = mkdtemp(prefix="telebot-phrases-")
        os.environ[VARIABLE] = folder
        config.add_cleanup(lambda: rmtree(folder, ignore_errors=True))


def shared(environ: dict[str, str]) -> dict[str, str]:
    """The variable by which a server with `environ` shares them: not where it has vendors, whose
    voices may differ by test."""
    folder = os.environ.get(VARIABLE)
    vendors = any(name.endswith("_BASE_URL") for name in environ)
    return {"TELEBOT_PHRASES": folder} if folder and not vendors else {}
