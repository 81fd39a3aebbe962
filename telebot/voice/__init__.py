"""Voice work that is no call: recordings to text, texts to sound, chats. What `/v1/voice` does.

A request says what it wants (`preferences.py`), `offers.py` knows who could do it, `routing.py`
puts them in order, `attempts.py` asks one after the other, `transcribing.py`, `replying.py` and
`speaking.py` are the work itself. HTTP is `api/`'s.
"""
