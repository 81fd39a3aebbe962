"""The programs that docs/client.md shows, as files that can be run."""

from __future__ import annotations

import re
from pathlib import Path

from node import ROOT, STATIC

PAGE = ROOT / "docs" / "client.md"
BLOCK = re.compile(r"^```(?:js|html) (\S+)\n(.*?)^```$", re.M | re.S)
EXAMPLE = "http://127.0.0.1:8080"
WS = Path("/usr/share/nodejs/ws")  # Debian's package; npm's is the same


def snippets() -> dict[str, str]:
    """Text by file name."""
    return dict(BLOCK.findall(PAGE.read_text("utf-8")))


def written(folder: Path, server: str) -> Path:
    """All of them in `folder`, where the packages that they import are installed; `server` stands
    where the page has an example of its address."""
    for name, text in snippets().items():
        (folder / name).write_text(text.replace(EXAMPLE, server), "utf-8")
    modules = folder / "node_modules"
    modules.mkdir()
    (modules / "telebot-client").symlink_to(STATIC)
    (modules / "ws").symlink_to(WS)
    return folder
