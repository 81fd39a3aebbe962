"""Files within bounds: nothing grows with what goes through them, and nothing that is forgotten
comes back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from telebot.providers.bounded import Bounded
from telebot.providers.kept_files import KeptFiles, listed

pytestmark = pytest.mark.unit


def files(folder: Path | None, memory: int = 1000, disk: int = 1000) -> KeptFiles:
    return KeptFiles(folder, suffix=".kept", memory_bytes=memory, disk_bytes=disk)


@pytest.mark.parametrize("on_disk", [True, False])
async def test_what_has_gone_is_not_remembered(tmp_path: Path, on_disk: bool) -> None:
    kept = files(tmp_path if on_disk else None)
    await kept.open()
    for number in range(200):
        kept.put(f"{number:08}", bytes(100))
        if number % 20 == 0:
            await settled(kept)
    await settled(kept)
    assert len(kept.names()) <= 20
    assert len(kept._used) <= 10
    await kept.close()


async def test_what_could_never_fit_pushes_nothing_out(tmp_path: Path) -> None:
    kept = files(tmp_path)
    await kept.open()
    kept.put("small", bytes(100))
    await settled(kept)
    kept.put("large", bytes(1001))
    await settled(kept)
    assert await kept.get("small") == bytes(100)
    assert await kept.get("large") is None
    assert [name for name, _ in listed(tmp_path, ".kept")] == ["small"]
    await kept.close()


def test_a_bound_says_what_had_to_go() -> None:
    bound: Bounded[str] = Bounded(10)
    assert bound.put("a", "a", 6) == []
    assert bound.put("b", "b", 11) == ["b"]
    assert bound.put("c", "c", 6) == ["a"]
    assert bound.put("c", "c", 11) == ["c"]
    assert (len(bound), bound.size_bytes) == (0, 0)


async def test_what_is_being_written_has_a_name_and_can_be_forgotten(tmp_path: Path) -> None:
    kept = files(tmp_path, memory=0)
    await kept.open()
    kept.put("anna", bytes(100))
    assert kept.names() == {"anna"}
    await kept.drop(*kept.names())
    await settled(kept)
    assert listed(tmp_path, ".kept") == []
    assert await kept.get("anna") is None
    await kept.close()


async def test_a_folder_that_cannot_be_written_keeps_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    kept = files(tmp_path / "file" / "folder")
    await kept.open()
    kept.put("anna", bytes(100))
    await settled(kept)
    assert await kept.get("anna") == bytes(100)
    await kept.close()


async def settled(kept: KeptFiles) -> None:
    while kept._work:
        await asyncio.gather(*kept._work)
