"""telebot answers the phone; see docs/life-of-a-call.md."""

__version__ = "0.1.0"
