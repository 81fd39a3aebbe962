"""The typed slots: what counts as a number, a date, a time, a name, a phone number, a yes.

Each finder reads an `Utterance` and returns `Found` values with where they stood; `extraction.py`
decides which slot of a form they fill.
"""
