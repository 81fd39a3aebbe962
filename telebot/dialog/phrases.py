"""The fixed sentences of an agent; a file's `phrases` replace them one by one.

Of `fillers` there may be several, one a line.
"""


def fields(name: str) -> tuple[str, ...]:
    """What a phrase can say of a call, by its name."""
    if name == "transfer_summary":
        return ("caller", "notes", "last_words")
    return ("heard",) if name.startswith("no_match") else ()


# name → (default sentence, when it is said)
DEFAULTS: dict[str, tuple[str, str]] = {
    "greeting": ("Hello, how can I help?", "when the call is answered"),
    "greeting_outbound": ("", "when somebody whom the agent has called answers (else greeting)"),
    "reprompt_1": ("Are you still there?", "after the first silence"),
    "reprompt_2": ("I can't hear you. How can I help?", "after the second silence"),
    "silence_goodbye": (
        "I can't hear you, so I'll hang up now. Please call again. Goodbye.",
        "before hanging up on silence",
    ),
    "max_duration": (
        "I'm sorry, this call has reached its longest time. Please call again. Goodbye.",
        "before hanging up at the maximum duration",
    ),
    "budget": (
        "I'm sorry, I have to end this call here. Please call again. Goodbye.",
        "before hanging up when the call's budget is used up",
    ),
    "apology": (
        "I'm sorry, something went wrong on our side. Please call again in a moment. Goodbye.",
        "when the server cannot go on",
    ),
    "apology_transfer": (
        "I'm sorry, something went wrong on our side. I'll put you through to a person.",
        "when the server cannot go on and somebody can take the call",
    ),
    "leave_message": (
        "I'm sorry, something went wrong on our side, and nobody can take your call. "
        "You can leave a message now. When you are done, just wait.",
        "when the server cannot go on, nobody can take the call, and it is recorded",
    ),
    "message_thanks": (
        "Thank you, your message is recorded. Goodbye.",
        "when the caller has left that message",
    ),
    "closing": (
        "I'm sorry, I have to end this call now. Please call again in a moment. Goodbye.",
        "when the server is shut down during a call",
    ),
    "transfer": ("One moment, I'll put you through.", "before a transfer"),
    "transfer_failed": (
        "I'm sorry, nobody can take the call right now. Would you like to leave a message?",
        "when a transfer did not work",
    ),
    "transfer_summary": (
        "I have a caller for you. {notes} The caller said: {last_words}",
        "to the person, before a `warm` transfer",
    ),
    "no_match": ("I'm sorry, I didn't understand that.", "when nothing fits"),
    "no_match_again": ("", "when nothing fits twice in a row (else no_match)"),
    "not_understood": ("Sorry, I didn't catch that.", "when a form's question got no answer"),
    "not_understood_again": (
        "I'm sorry, I still can't make that out.",
        "when a form's question got no answer twice in a row",
    ),
    "corrected": ("All right.", "when the caller corrected something"),
    "what_to_change": ("What should I change?", "when the read-back was wrong"),
    "abandoned": ("All right, I've left that.", "when the caller gave up a form"),
    "anything_else": ("Is there anything else?", "when a form is done"),
    "how_can_i_help": ("How can I help?", "when the caller says yes to that"),
    "fillers": (
        "One moment.\nJust a moment, please.",
        "while an answer takes its time, where `speech.filler_s` is set; one text or a list",
    ),
    "goodbye": ("Thank you for calling. Goodbye.", "before the agent hangs up"),
}
