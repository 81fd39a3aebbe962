"""`WS /v1/voice/realtime`: sessions of programs and browsers, which are calls (`docs/realtime.md`).

`door.py` decides who may, `socket.py` is the route, `session.py` puts a conversation behind the
media stream and does what its client asks, `teller.py` tells the client how it goes.
"""
