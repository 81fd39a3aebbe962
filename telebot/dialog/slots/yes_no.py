"""Yes or no, as people say it on the phone."""

import re

_YES_DESPITE_NO = re.compile(
    r"^no (?:no )?(?:that is|it is|all|everything is|that all is) (?:all |quite |perfectly )?"
    r"(?:right|fine|correct|good|okay|perfect|great)\b|^no problem\b|\bwhy not\b|\bnot wrong\b"
)
_NO = re.compile(
    r"^(?:(?:oh|well|um|uh|er|sorry|actually|hmm|ah) )*"
    r"(?:no|nope|nah|not|never|do not|negative|uh-uh)\b"
    r"|\b(?:no|not|no (?:thanks|thank you|please|sorry))$"
    r"|\b(?:absolutely|definitely|certainly|course|please do|sure) not\b"
    r"|\b(?:not (?:right|correct|quite|really|yet)|is not|wrong|incorrect|mistake|i do not)\b"
)
_YES = re.compile(
    r"^(?:(?:oh|well|um|uh|er|ah|so) )*(?:yes|yeah|yep|yup|yea|ya|sure|correct|right|exactly|okay|"
    r"absolutely|definitely|certainly|indeed|perfect|great|lovely|fine|good|please|affirmative|"
    r"mm-hmm|mhm|uh-huh|aye|wonderful|brilliant|excellent|fantastic|super|cool|splendid|true|"
    r"spot on|very (?:good|well)|(?:all|sounds|looks|happy) (?:good|fine|right|with (?:that|it)))\b"
    r"|^(?:so )?(?:it is|i agree|do that)$"
    r"|^that (?:correct|right)\b"
    r"|\b(?:yes|of course|please do|go ahead|sounds (?:good|right|great|fine|perfect)|"
    r"(?:that|it|everything|all) (?:is|sounds|seems|looks)(?: all)? "
    r"(?:right|correct|fine|good|it|okay|perfect|great)|i guess so|i think so|that will do|book it|"
    r"that works|that is the one|you(?: have)? got it|"
    r"do it|confirm(?:ed)?)\b"
)


_YES_INSIDE = re.compile(r"\b(?:yes|yeah|yep)\b")
_NEGATION = re.compile(r"\b(?:no|not|nope|never)\b")


def yes_or_no(text: str) -> bool | None:
    """True, False or None (neither) for folded text."""
    if _YES_DESPITE_NO.search(text):
        return True
    if _NO.search(text):
        return None if _YES_INSIDE.search(text) else False
    if _NEGATION.search(text):
        return None  # "yes no", "yes or no": a wrong yes costs more than another question
    return True if _YES.search(text) else None
