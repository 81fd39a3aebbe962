"""Capacity and latency of a phone server, measured from the caller's end of the wire.

`python -m bench` (also `make bench`, `telebot bench`) runs the stock Pipecat bot of `stock/` and
telebot side by side, each pinned to one core, under the same callers. Nothing here is imported by
`telebot/`. Start at `__main__.py`; what a caller does is in `script.py`, what is measured in
`meter.py`.
"""
