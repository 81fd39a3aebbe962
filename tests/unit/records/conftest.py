"""Records on a real SQLite file, with clocks that are turned by hand (`record_scene.py`)."""

from __future__ import annotations

import pytest
from record_scene import Scene, Time


@pytest.fixture
def time():
    return Time()


@pytest.fixture
async def scene(tmp_path, time):
    scene = Scene(tmp_path, time)
    await scene.store.open()
    yield scene
    await scene.store.close()
