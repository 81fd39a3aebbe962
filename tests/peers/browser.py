"""A real Chromium for the tests, driven over the W3C WebDriver protocol (no driver library)."""

from __future__ import annotations

import asyncio
import base64
import shutil
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # nothing but this machine is there
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--disable-dev-shm-usage",
    "--force-prefers-reduced-motion",  # smooth scrolling moves what is to be clicked
)
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # W3C WebDriver section 12
START_S, ANSWER_S = 30, 30


def installed() -> bool:
    return bool(shutil.which("chromium") and shutil.which("chromedriver"))


class Browser:
    """One browser with one window. Elements are found by CSS selectors; `flags` are Chromium's."""

    def __init__(self, profile: Path, *flags: str) -> None:
        self._profile = profile
        self._flags = flags
        self._driver: asyncio.subprocess.Process | None = None
        self._http: aiohttp.ClientSession | None = None
        self._url = ""

    async def open(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._driver = await asyncio.create_subprocess_exec(
            "chromedriver",
            f"--port={port}",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S))
        self._url = f"http://127.0.0.1:{port}"
        async with asyncio.timeout(START_S):
            while True:
                if await self._is_up():
                    break
                await asyncio.sleep(0.05)
        options = {
            "binary": shutil.which("chromium"),
            "args": [*FLAGS, *self._flags, f"--user-data-dir={self._profile}"],
        }
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
        session = (await self._call("POST", "/session", wanted))["sessionId"]
        self._url += f"/session/{session}"

    async def close(self) -> None:
        if self._http is not None:
            with suppress(aiohttp.ClientError, TimeoutError, RuntimeError):
                await self._call("DELETE", "")
            await self._http.close()
        if self._driver is not None:
            with suppress(ProcessLookupError):
                self._driver.terminate()
            await self._driver.wait()

    async def go(self, url: str) -> None:
        await self._call("POST", "/url", {"url": url})

    async def path(self) -> str:
        return str(await self.script("return location.pathname + location.search + location.hash"))

    async def title(self) -> str:
        return str(await self._call("GET", "/title"))

    async def click(self, css: str) -> None:
        await self._call("POST", f"/element/{await self._find(css)}/click", {})

    async def type(self, css: str, text: str) -> None:
        await self._call("POST", f"/element/{await self._find(css)}/value", {"text": text})

    async def text(self, css: str) -> str:
        return str(await self._call("GET", f"/element/{await self._find(css)}/text"))

    async def count(self, css: str) -> int:
        return int(await self.script("return document.querySelectorAll(arguments[0]).length", css))

    async def script(self, code: str, *arguments: Any) -> Any:
        return await self._call("POST", "/execute/sync", {"script": code, "args": list(arguments)})

    async def until(self, code: str, *arguments: Any) -> Any:
        """What `code` returns as soon as it is true."""
        async with asyncio.timeout(ANSWER_S):
            while True:
                if found := await self.script(code, *arguments):
                    return found
                await asyncio.sleep(0.05)

    async def size(self, width: int, height: int) -> None:
        await self._call("POST", "/window/rect", {"width": width, "height": height})

    async def devtools(self, command: str, **params: Any) -> Any:
        body = {"cmd": command, "params": params}
        return await self._call("POST", "/goog/cdp/execute", body)

    async def screenshot(self, path: Path) -> None:
        picture = base64.b64decode(await self._call("GET", "/screenshot"))
        await asyncio.to_thread(path.write_bytes, picture)

    async def _find(self, css: str) -> str:
        found = await self._call("POST", "/element", {"using": "css selector", "value": css})
        return str(found[ELEMENT])

    async def _is_up(self) -> bool:
        with suppress(aiohttp.ClientError):
            return bool((await self._call("GET", "/status"))["ready"])
        return False

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        assert self._http is not None
        async with self._http.request(method, self._url + path, json=body) as response:
            value = (await response.json())["value"]
            if response.status != 200:
                raise RuntimeError(f"{method} {path}: {value['error']}: {value['message'][:400]}")
            return value
