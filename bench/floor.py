"""The floor: an aiohttp server that decodes every frame, codes it again and sends it back.

No speech, no bot: what the wire alone costs in this language. `python -m bench floor` measures it;
`python -m bench.floor --port N` is the server.
"""

from __future__ import annotations

import argparse
import audioop
import binascii

import orjson
from aiohttp import WSMsgType, web


async def voice(request: web.Request) -> web.Response:
    twiml = f'<Response><Connect><Stream url="wss://{request.host}/ws"/></Connect></Response>'
    return web.Response(text=twiml, content_type="application/xml")


async def media(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    stream = ""
    async for message in socket:
        if message.type is not WSMsgType.TEXT:
            continue
        received = orjson.loads(message.data)
        if received["event"] == "start":
            stream = received["streamSid"]
        elif received["event"] == "media":
            pcm = audioop.ulaw2lin(binascii.a2b_base64(received["media"]["payload"]), 2)
            payload = binascii.b2a_base64(audioop.lin2ulaw(pcm, 2), newline=False).decode()
            reply = {"event": "media", "streamSid": stream, "media": {"payload": payload}}
            await socket.send_str(orjson.dumps(reply).decode())
    return socket


def main() -> None:
    import uvloop

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    app = web.Application()
    app.add_routes([web.post("/twilio/voice", voice), web.get("/ws", media)])
    loop = uvloop.new_event_loop()
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None, loop=loop)


if __name__ == "__main__":
    main()
