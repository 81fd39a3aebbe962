"""XML answers of the carriers whose language is XML: elements in, an `Answer` out.

Written by the standard library, so that whatever stands in a URL or a number is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element, tostring

from telebot.carriers.port import Answer


def element(
    tag: str,
    text: str = "",
    attributes: Mapping[str, str] | None = None,
    *inner: Element,
) -> Element:
    """One element with its text or with what it encloses."""
    made = Element(tag, dict(attributes or {}))
    made.text = text or None
    made.extend(inner)
    return made


def response(*verbs: Element) -> Answer:
    """``<Response>`` with these verbs in it."""
    root = element("Response", "", None, *verbs)
    text = tostring(root, encoding="unicode")
    return Answer(f'<?xml version="1.0" encoding="UTF-8"?>{text}', "text/xml")
