"""The words of spoken English that the slots share: numbers, days, months, spellings."""

UNITS = {
    word: value
    for value, word in enumerate("zero one two three four five six seven eight nine".split())
}
TEENS = {
    word: value
    for value, word in enumerate(
        "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split(),
        start=10,
    )
}
TENS = {
    word: value * 10
    for value, word in enumerate(
        "twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2
    )
}
TENS["fourty"] = 40
ORDINAL_UNITS = {
    word: value
    for value, word in enumerate(
        "first second third fourth fifth sixth seventh eighth ninth".split(), start=1
    )
}
ORDINAL_TEENS = {
    word: value
    for value, word in enumerate(
        "tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth "
        "eighteenth nineteenth twentieth".split(),
        start=10,
    )
} | {"thirtieth": 30}
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = (
    "january february march april may june july august september october november december"
).split()

CONTRACTIONS = {
    "what's": "what is",
    "where's": "where is",
    "when's": "when is",
    "who's": "who is",
    "how's": "how is",
    "whats": "what is",
    "everything's": "everything is",
    "there's": "there is",
    "that's": "that is",
    "thats": "that is",
    "that'll": "that will",
    "it'll": "it will",
    "that'd": "that would",
    "it'd": "it would",
    "it's": "it is",
    "let's": "let us",
    "name's": "name is",
    "time's": "time is",
    "i'm": "i am",
    "we're": "we are",
    "you're": "you are",
    "they're": "they are",
    "i'd": "i would",
    "we'd": "we would",
    "i'll": "i will",
    "we'll": "we will",
    "there'll": "there will",
    "i've": "i have",
    "we've": "we have",
    "don't": "do not",
    "doesn't": "does not",
    "isn't": "is not",
    "aren't": "are not",
    "wasn't": "was not",
    "won't": "will not",
    "can't": "can not",
    "couldn't": "could not",
    "didn't": "did not",
    "cannot": "can not",
    "gonna": "going to",
    "wanna": "want to",
}

# How recognisers write what everybody says; applied to the lower-cased text before splitting.
SPELLINGS = (
    (r"\bto-(?=morrow|day|night)", "to"),
    (r"\bto morrow\b", "tomorrow"),
    (r"\bgood[- ]bye?\b", "goodbye"),
    (r"\bbye[- ]bye\b", "bye"),
    (r"\bo['’]? ?clock\b", "o'clock"),
    (r"\b([ap])\. ?m\b\.?", r"\1m"),
    (r"(?<=\d) ?([ap])\.?m\b", r" \1m"),
    (r"\b(mon|tues|wednes|thurs|fri|satur|sun)-day", r"\1day"),
    (r"\bmid-day\b", "midday"),
    (r"\bok\b", "okay"),
    (r"\b(uh|mm) (huh|hmm|uh)\b", r"\1-\2"),
)

# "A new one", "that is the one" are no numbers, unless an hour is being said.
BEFORE_ONE = frozenset(
    "the a new another other this that which each every any no some last first next same".split()
)
AFTER_HOUR = frozenset("o'clock clock am pm thirty fifteen forty person guest".split())

# Sounds of somebody who looks for a word: "what time do you, um, close".
HESITATIONS = frozenset("um umm uh uhm er erm".split())

# Words around an answer that carry nothing of it.
FILLERS = frozenset(
    "please um umm uh er erm ah oh well okay so then just now hmm mm mhm right and "
    "thanks hey hi hello yes yeah sure actually sorry".split()
)
CORRECTION = (
    r"\b(?:actually|sorry|i mean|i meant|no|rather|instead|make (?:it|that)|change|wait|but for|"
    r"correction|not|should be|let us say|wrong)\b"
)
