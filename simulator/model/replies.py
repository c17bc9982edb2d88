"""What people write back: the texts of the model and what each of them means."""

from enum import StrEnum


class Intent(StrEnum):
    """What a text from a person means; a canned response of that name answers it."""

    SUPPORTS = "supports"
    AGAINST = "against"
    UNDECIDED = "undecided"
    QUESTION = "question"
    VOTED = "voted"
    THANKS = "thanks"
    WRONG_NUMBER = "wrong number"
    KEYWORD = "keyword"
    LEAVES = "leaves"
    ABUSE = "abuse"
    START = "start"


# English, then Spanish. No conversational text is a bare opt-out keyword (C6).
TEXTS: dict[Intent, tuple[tuple[str, ...], tuple[str, ...]]] = {
    Intent.SUPPORTS: (
        (
            "Yes!",
            "Yes I will",
            "You have my vote",
            "Of course 👍",
            "Absolutely, whole family is",
            "Yep, count me in",
        ),
        ("Sí, claro", "Sí cuenten conmigo", "Claro que sí"),
    ),
    Intent.AGAINST: (
        (
            "No",
            "Nope, voting for the other side",
            "Not a chance",
            "No thank you",
            "I don't agree with her at all",
        ),
        ("No", "No voy a votar por ella"),
    ),
    Intent.UNDECIDED: (
        (
            "Still deciding",
            "Not sure yet",
            "Maybe. Where does she stand on schools?",
            "I haven't made up my mind",
        ),
        ("Todavía no sé", "Tal vez"),
    ),
    Intent.QUESTION: (
        ("Where do I vote?", "Who is this?", "What time do the polls close?", "Is this a real person?"),
        ("¿Dónde voto?", "¿Quién es?", "¿Hasta qué hora puedo votar?"),
    ),
    Intent.VOTED: (
        ("Already voted", "Voted by mail last week", "Done! Voted this morning", "I voted early"),
        ("Ya voté", "Ya voté por correo"),
    ),
    Intent.THANKS: (
        ("Thanks!", "Ok thank you", "👍", "Great, thanks", "Will do"),
        ("Gracias", "Ok, gracias"),
    ),
    Intent.WRONG_NUMBER: (
        (
            "Wrong number",
            "You have the wrong number",
            "I don't know who that is",
            "This isn't her phone anymore",
        ),
        ("Número equivocado", "Aquí no vive esa persona"),
    ),
    Intent.KEYWORD: (
        (
            "STOP",
            "STOP",
            "Stop",
            "Stop",
            "stop",
            "Stop.",
            "STOP!",
            "UNSUBSCRIBE",
            "End",
            "Quit",
            "Cancel",
            "opt out",
        ),
        ("STOP", "Stop", "stop"),
    ),
    Intent.LEAVES: (
        (
            "Please take me off your list",
            "Stop texting me",
            "remove me from this list please",
            "Do not contact me again",
            "Not interested, please don't text me anymore",
            "Lose my number",
            "How do I unsubscribe from this",
        ),
        ("No más mensajes por favor", "Ya no me manden mensajes", "Quítenme de la lista"),
    ),
    Intent.ABUSE: (
        (
            "Go to hell",
            "F*** off",
            "Leave me the hell alone",
            "You people are the worst",
            "Screw you and your candidate",
        ),
        ("Váyanse al diablo", "Déjenme en paz"),
    ),
    Intent.START: (("START", "Start", "UNSTOP"), ("START",)),
}
_INTENT_OF = {text: intent for intent, languages in TEXTS.items() for texts in languages for text in texts}


def intent_of(text: str) -> Intent | None:
    """What a person of this model means by a text; None for a text this model never writes."""
    return _INTENT_OF.get(text)
