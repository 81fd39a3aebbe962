"""Voice work that is no call: recordings to text, texts to sound, chats. What `/v1/voice` does.

A request says what it wants (`preferences.py`), `offers.py` knows who could do it, `routing.py`
puts them in order, `attempts.py` asks one after the other. The work itself: `hearing.py` (by
`transcribing.py`), `replying.py`, `synthesis.py` (by `speaking.py`), and a chat of all three
(`chat_turn.py`). `books.py` writes each piece of it down. HTTP is `api/`'s.
"""
