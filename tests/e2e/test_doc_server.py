"""What the pages say that a server has, it has, and the other way round: its paths, its metrics.

Names that the code alone knows: tests/unit/test_doc_names.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import aiohttp
import pytest
from serving import Server

pytestmark = pytest.mark.e2e

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {
    str(page.relative_to(DOCS)): page.read_text("utf-8")
    for page in DOCS.rglob("*.md")
    if "decisions" not in page.parts
}
METHODS = "GET|POST|PUT|PATCH|DELETE"
ROW = re.compile(r"^\| (`(?:GET|POST|PUT|PATCH|DELETE) /v1/.+?) \| (?:`(\w+)`)? ?\|", re.M)
NAMED = re.compile(rf"`({METHODS})(?: (/v1/[\w/{{}}-]+))?`")
PATH = re.compile(r"(?<![\w.])/v1/[\w/{}-]*\w}?")
THEIRS = re.compile(r"/v1/(Accounts|calls/\{uuid\})")  # of carriers
PROGRAM = re.compile(r"^```python$.*?^```$", re.M | re.S)  # of others' servers
METRIC = re.compile(r"\btelebot_[a-z0-9_]+\*?")
NO_METRICS = {"telebot_token", "telebot_console"}
CACHES = ("hits_total", "misses_total", "hit_rate", "entries", "bytes")


async def answered(server: Server, path: str) -> aiohttp.ClientResponse:
    async with aiohttp.ClientSession() as http, http.get(server.url + path) as answer:
        assert answer.status == 200
        await answer.read()
        return answer


def told_endpoints() -> dict[tuple[str, str], str | None]:
    """Of the table: `GET /v1/x` · `PUT` · `DELETE /v1/x/{id}`, each with the row's scope."""
    told = {}
    for cell, scope in ROW.findall(PAGES["api.md"]):
        path = ""
        for method, named in NAMED.findall(cell):
            path = named or path
            told[method, path] = scope or None
    return told


async def test_every_endpoint_is_told_with_its_scope(server: Server) -> None:
    document = await (await answered(server, "/openapi.json")).json()
    known = {}
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            scope = re.search(r"scope `(\w+)`", told["description"])
            known[method.upper(), path] = scope[1] if scope else None
    known["GET", "/v1/voice/realtime"] = "operator"  # a socket's is not described
    assert told_endpoints() == known


async def test_paths_that_a_page_names_exist(server: Server) -> None:
    document = await (await answered(server, "/openapi.json")).json()
    patterns = [re.sub(r"{\w+}", r"[^/]+", path) for path in document["paths"]]
    known = re.compile("|".join(patterns))
    rooms = {path.rsplit("/", 1)[0] for path in document["paths"]} | {"/v1/voice", "/v1/audio"}
    for page, text in PAGES.items():
        shown = PROGRAM.sub("", text)
        told = {path for path in PATH.findall(shown) if not THEIRS.match(path)}
        unknown = {path for path in told if not known.fullmatch(path) and path not in rooms}
        assert unknown == set(), page


async def test_every_metric_is_told_and_none_that_there_is_not(server: Server) -> None:
    text = await (await answered(server, "/metrics")).text()
    known = {
        f"{name}_total" if kind == "counter" and not name.endswith("_total") else name
        for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M)
        if not name.endswith("_created")
    }
    page = {name for name in METRIC.findall(PAGES["metrics.md"]) if not name.endswith("_bucket")}
    stars = {name[:-1] for name in page if name.endswith("*")}
    told = {name for name in page if not name.endswith("*")}
    told |= {star + end for star in stars for end in CACHES}
    assert told == known
    beginnings = "\n" + "\n".join(known)
    for name, other in PAGES.items():
        named = {one.removesuffix("_bucket").rstrip("*") for one in METRIC.findall(other)}
        assert {one for one in named - NO_METRICS if f"\n{one}" not in beginnings} == set(), name
