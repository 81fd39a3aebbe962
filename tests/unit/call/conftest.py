"""A scene for each test."""

from __future__ import annotations

import pytest
from call_scene import Scene


@pytest.fixture
def scene():
    return Scene()
