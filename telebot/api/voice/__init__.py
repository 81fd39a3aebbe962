"""`/v1/voice` and, in OpenAI's own words, `/v1/audio`: voice work that is no call, over HTTP.

`uploads.py` reads what is sent, `shapes.py` is what is asked and answered, the rest are the
endpoints. The work is `telebot/voice/`'s.
"""
