"""The JavaScript client by itself: its own tests in Node, its types, and how it is served."""

from __future__ import annotations

import pytest
from node import PROGRAMS, STATIC, node, tsc
from records_server import records_server
from snippets import snippets, written

pytestmark = pytest.mark.peers


async def test_its_own_tests_in_node():
    code, wrote = await node("--test", *sorted(PROGRAMS.glob("*.test.mjs")))
    assert code == 0, wrote[-6000:]
    assert "# fail 0" in wrote or "ℹ fail 0" in wrote


async def test_its_types_are_taken_by_a_strict_compiler():
    options = "--noEmit --strict --target es2022 --module es2022 --moduleResolution node".split()
    code, wrote = await tsc(*options, "--lib", "es2022,dom", PROGRAMS / "types.ts")
    assert code == 0, wrote


async def test_it_is_installed_as_a_package(tmp_path):
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "telebot-client").symlink_to(STATIC)
    asking = "import { TelebotClient } from 'telebot-client'; console.log(TelebotClient.name)"
    assert await node("--input-type=module", "-e", asking, cwd=tmp_path) == (0, "TelebotClient\n")


async def test_what_its_page_shows_can_be_parsed(tmp_path):
    shown = snippets()
    assert {"backend.mjs", "page.html", "talk.mjs", "ask.mjs", "useTelebot.mjs"} <= shown.keys()
    written(tmp_path, "http://127.0.0.1:1")
    (tmp_path / "Talk.js").rename(tmp_path / "Talk.mjs")  # a bundler's module
    script = shown["page.html"].partition('<script type="module">')[2].partition("</script>")[0]
    (tmp_path / "page.mjs").write_text(script)
    for program in sorted(tmp_path.glob("*.*js")):
        assert await node("--check", program) == (0, ""), program.name


@pytest.mark.parametrize(
    ("name", "kind"),
    [("telebot-client.js", "text/javascript"), ("telebot-client.d.ts", "text/plain")],
)
async def test_any_page_may_import_it_and_keep_it(http, tmp_path, name, kind):
    async with records_server(tmp_path / "data") as server:
        url = f"{server.url}/console/{name}"
        async with http.get(url, headers={"Origin": "https://app.example"}) as answer:
            assert answer.status == 200
            assert await answer.text() == (STATIC / name).read_text("utf-8")
            assert answer.headers["Content-Type"] == f"{kind}; charset=utf-8"
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
            assert answer.headers["Cache-Control"] == "public, max-age=3600"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "Set-Cookie" not in answer.headers
            seen = answer.headers["ETag"]
        async with http.get(url, headers={"If-None-Match": seen}) as answer:
            assert answer.status == 304
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
        async with http.head(url) as answer:
            assert answer.status == 200
        async with http.get(f"{server.url}/console/package.json") as answer:
            assert answer.status == 404
