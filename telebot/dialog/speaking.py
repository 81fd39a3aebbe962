"""Values as a voice says them on the phone: 4 → "four", 19:30 → "half past seven"."""

from datetime import date, time, timedelta

from telebot.dialog import words as w

_SMALL = {value: word for word, value in (w.UNITS | w.TEENS).items()}
_TENS = {value: word for word, value in w.TENS.items() if word != "fourty"}
_ORDINALS = {value: word for word, value in (w.ORDINAL_UNITS | w.ORDINAL_TEENS).items()}


def number(value: int) -> str:
    """0 to 9999 in words; anything else as digits."""
    if value in _SMALL:
        return _SMALL[value]
    if 20 <= value < 100:
        tens, units = value // 10 * 10, value % 10
        return _TENS[tens] + (f"-{_SMALL[units]}" if units else "")
    if 100 <= value < 1000:
        rest = value % 100
        return f"{_SMALL[value // 100]} hundred" + (f" and {number(rest)}" if rest else "")
    if 1000 <= value < 10000:
        rest = value % 1000
        return f"{_SMALL[value // 1000]} thousand" + (f" {number(rest)}" if rest else "")
    return str(value)


def ordinal(value: int) -> str:
    """1 to 31 as "first" … "thirty-first"."""
    if value in _ORDINALS:
        return _ORDINALS[value]
    return f"{_TENS[value // 10 * 10]}-{_ORDINALS[value % 10]}"


def clock(value: time) -> str:
    """ "half past seven", "seven o'clock", "noon"; mornings before noon say so."""
    hour, minute = value.hour, value.minute
    if minute == 0 and hour in (0, 12):
        return "midnight" if hour == 0 else "noon"
    morning = " in the morning" if hour < 12 else ""
    return _clock_words(hour, minute) + morning


def _clock_words(hour: int, minute: int) -> str:
    this, following = number((hour - 1) % 12 + 1), number(hour % 12 + 1)
    if minute == 0:
        return f"{this} o'clock"
    if minute in (15, 30):
        return f"{'quarter' if minute == 15 else 'half'} past {this}"
    if minute == 45:
        return f"quarter to {following}"
    if minute in (5, 10, 20, 25):
        return f"{number(minute)} past {this}"
    if minute in (35, 40, 50, 55):
        return f"{number(60 - minute)} to {following}"
    return f"{this} {'oh ' if minute < 10 else ''}{number(minute)}"


def clock_of_opening(value: time) -> str:
    """As a host says opening times: "noon", "ten at night", "six in the evening"."""
    if value in (time(0), time(12)):
        return clock(value)
    words = _clock_words(value.hour, value.minute).removesuffix(" o'clock")
    if value.hour < 12:
        return f"{words} in the morning"
    if value.hour < 18:
        return f"{words} in the afternoon"
    return f"{words} {'in the evening' if value.hour < 21 else 'at night'}"


def day(value: date, today: date) -> str:
    """ "tomorrow, Saturday the twenty-first of November"; the year only when it is far away."""
    full = f"{weekday(value)} the {ordinal(value.day)} of {w.MONTHS[value.month - 1].title()}"
    near = {today: "today, ", today + timedelta(days=1): "tomorrow, "}.get(value, "")
    return near + full


def weekday(value: date) -> str:
    """ "Friday"."""
    return w.WEEKDAYS[value.weekday()].title()


def phone(value: str) -> str:
    """Digit by digit, zero as "oh", in groups of three with a longer last one."""
    digits = [_SMALL[int(digit)] if digit != "0" else "oh" for digit in value if digit.isdigit()]
    groups = []
    while digits:
        size = len(digits) if len(digits) <= 4 else 3
        groups.append(" ".join(digits[:size]))
        digits = digits[size:]
    return ("plus " if value.startswith("+") else "") + ", ".join(groups)


def listing(items: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
