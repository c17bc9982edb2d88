"""Which columns of a list say who may be texted, and what their cells say.

Headers first: the table `EXPORTS` names those of the usual exports, and a small grammar reads other spellings. A header
that has a word of consent in it and is not wholly understood is never passed over: its cells must speak for themselves
("Opted Out"), or the import stops with a question.
"""

import re
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from gateway.core.text.consent import STOP_KEYWORDS
from gateway.p2p.list_cells import clean, plain


class Sense(StrEnum):
    """How a column's cells are to be read."""

    OPT_OUT = "opt_out"
    """Yes, and a date, say: don't text."""
    OPT_IN = "opt_in"
    """No says: don't text. Yes and a date say that texts are welcome."""
    CONSENT = "consent"
    """Only words that say it by themselves count; a bare yes or no is a question."""
    HINT = "hint"
    """About something else, such as a status or tags. A cell that says "opted out" is a question; others are not."""


class Said(StrEnum):
    """What a cell says."""

    OUT = "out"
    IN = "in"
    NOTHING = "nothing"
    UNCLEAR = "unclear"


class Export(NamedTuple):
    """A header as a product exports it, and the values its pages name for it."""

    header: str
    sense: Sense
    product: str
    values: str


EXPORTS: Final = (
    Export("SMS Opt In Status", Sense.OPT_IN, "EveryAction, VAN", "Opt-In, Opt-Out, Unknown"),
    Export("Phone Opt In Status", Sense.OPT_IN, "EveryAction, VAN", "Opt-In, Opt-Out, Unknown"),
    Export("mobile_opt_in", Sense.OPT_IN, "NationBuilder", "true, false"),
    Export("do_not_contact", Sense.OPT_OUT, "NationBuilder", "true, false"),
    Export("do_not_call", Sense.OPT_OUT, "NationBuilder", "true, false"),
    Export(
        "federal_donotcall", Sense.CONSENT, "NationBuilder", "true, false: the register of 47 CFR 64.1200(c)"
    ),
    Export("HasOptedOutOfSms__c", Sense.OPT_OUT, "Salesforce", "true, false, 1, 0"),
    Export("DoNotCall", Sense.OPT_OUT, "Salesforce", "true, false, 1, 0"),
    Export("smagicinteract__SMSOptOut__c", Sense.OPT_OUT, "SMS-Magic on Salesforce", "true, false, 1, 0"),
    Export("mobile_status", Sense.CONSENT, "Action Network", "subscribed, unsubscribed, bouncing"),
    Export("sms opt in status", Sense.OPT_IN, "Mobilize", "OPTED_IN, OPTED_OUT, UNSPECIFIED"),
    Export("Is Opted Out", Sense.OPT_OUT, "Hustle", "true, false"),
    Export("global opt out", Sense.OPT_OUT, "Hustle", "true, false"),
    Export("subscription_status", Sense.OPT_IN, "ActionKit", "subscribed, unsubscribed, bounced, never"),
    Export("OptedOut", Sense.OPT_OUT, "Mongoose", "yes, true, y, 1, no, false, n, 0"),
    Export("Text Opt-in", Sense.OPT_IN, "chapter rosters", "Yes, No"),
    Export("opt_out", Sense.OPT_OUT, "Spoke", "true, false"),
    Export("DNC", Sense.OPT_OUT, "sheets by hand", "x, yes"),
    Export("Do Not Text", Sense.OPT_OUT, "sheets by hand", "x, yes"),
    Export("STOP", Sense.OPT_OUT, "sheets by hand", "x, yes"),
    Export("Opt In", Sense.OPT_IN, "sheets by hand", "Y, N"),
    Export("Consent", Sense.OPT_IN, "sheets by hand", "yes, no"),
    Export("Baja", Sense.OPT_OUT, "sheets by hand, in Spanish", "sí, x"),
)
"""Opt-outs of calls count as well: a text is a call (47 CFR 64.1200(e))."""

_NAMED = {re.sub("[^a-z0-9]", "", each.header.casefold()): each.sense for each in EXPORTS}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# A header is a mark of consent between words that change nothing, in words or written together.
_OUT = r"""opt(?:ed|s|ing)?\ ?outs?|unsub(?:scribed?)?|do\ ?not\ ?(?:text|sms|contact|call|message|msg|phone|disturb|send)
    |don\ ?t\ (?:text|contact|call|message)|no\ (?:sms|texts?|texting|contact|contactar|llamar|enviar|molestar|textear)
    |\bdn[ct]\b|suppress(?:ed|ion)?|bl(?:ack|ock)\ ?list(?:ed)?|dad[oa]\ de\ baja|revoked?"""
_OUT_WEAK = r"\bstop(?:ped|s)?|\bbajas?\b|\bwithdrawn\b"
_IN = r"opt(?:ed|s|ing)?\ ?in(?!fo|it|ion|g)|consent(?:s|ed|imiento)?|permissions?|\b(?:can|may|ok|okay\ to|ok\ to)\ text"
_IN_WEAK = r"\bsubscri(?:bed|ption|be)\b|\bsms\ ok\b|\bsuscrit[oa]\b|\bautoriza(?:do|cion)?\b"
_EITHER = r"\bopt\b"
# No text is made of these in two ways, so that looking takes no time: no word of two others, and digits as one run. The
# first rows of any list are read as a header too, and many begin with ids and phones.
_FILLER = r"""(?:is|has|have|had|was|been|of|from|to|the|for|on|at|all|any|y|n|c
    |sms|mms|texts?|texting|messages?|messaging|msgs?|mobile|cell|phone|telephone|wireless|number|device
    |status|flag|value|global|globally|org|organi[sz]ation|account|user|contacts?|person|people|supporter|voter|member
    |p2p|broadcast|marketing|communications?|campaign|primary|preferred|home|current|currently|can2|vb|custom
    |dates?|time|timestamp|day|when|fecha|\d++|\ )*"""
_SENSES = (
    (re.compile(f"{_FILLER}(?:{_OUT}|{_OUT_WEAK}){_FILLER}", re.VERBOSE), Sense.OPT_OUT),
    (re.compile(f"{_FILLER}(?:{_IN}|{_IN_WEAK}){_FILLER}", re.VERBOSE), Sense.OPT_IN),
)
_MARK = re.compile(f"{_OUT}|{_IN}|{_EITHER}", re.VERBOSE)
# "Email opt in", "Do not mail", "Do not walk" speak about other ways to reach a person.
_OTHER_CHANNELS = _words(
    "email emails mail mailing newsletter fax walk walking canvass door knock letter postal"
)
_OUR_CHANNELS = _words("sms mms text texts texting mobile cell phone call calls calling")
_HINTS = _words("status tag tags preference preferences flag flags label labels note notes comment comments")


def sense_of(words: list[str]) -> Sense | None:
    """How the cells under a header, given as its words, are read; None when it has nothing to do with consent."""
    named = _NAMED.get("".join(words))
    if named is not None:
        return named
    channels = _OUR_CHANNELS.intersection(words)
    if _OTHER_CHANNELS.intersection(words) and not channels:
        return None
    header = " ".join(words)
    direct = next((sense for pattern, sense in _SENSES if pattern.fullmatch(header)), None)
    if direct is not None:
        return direct
    if _MARK.search(header) or ("status" in words and channels & {"sms", "text", "texting"}):
        return Sense.CONSENT
    return Sense.HINT if _HINTS.intersection(words) else None


_YES = _words("1 t true y yes x si s on checked ✓ ✔ ☑")
_NO = _words("0 f false n no off unchecked none")
_SAYS_OUT = _words("""optout optedout optoutsms smsoptout smsoptedout hardoptout out unsubscribed unsub unsubscribes stopped dnc dnt
    donottext donotcontact donotcall donotsms donotmessage donttext dontcontact dontcall notext notexts nosms nocontact
    optedoutofsms optedoutoftexts optedoutoftexting revoked withdrawn denied declined refused rejected suppressed
    blocked blocklisted blacklisted removed baja dadodebaja nocontactar notoptedin noconsent notconsented spamcomplaint
    previousspamcomplaint""") | {word for key in STOP_KEYWORDS if (word := key.replace(" ", ""))}
_SAYS_IN = _words("""optin optedin smsoptin smsoptedin in subscribed subscribe resubscribed consented consent granted given allowed
    accepted confirmed ok okay start alta suscrito notoptedout""")
_SAYS_NOTHING = _words("""unknown unspecified undefined unset notset notspecified notasked noresponse nodata neutral null na never
    bounced bouncing previousbounce desconocido""")
_NULL_DATE = re.compile(r"0{1,4}[-/.]0{1,2}[-/.]0{1,4}.*")
_DATE = re.compile(r"(?:19|20)\d\d[-/.]?\d\d?[-/.]?\d\d?(?:\D.*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}(?:\D.*)?|\d{10}|\d{13}"
                   r"|\d{0,2} ?[a-z]{3,9}\.? \d{0,2},? ?(?:19|20)\d\d(?:\D.*)?")  # fmt: skip
_HINTS_AT_OUT = _words("""optedout optout smsoptout smsoptedout unsubscribed donottext donotcontact donotcall donotsms donttext dnc
    notexts notext nosms nocontact baja dadodebaja""")


@lru_cache(maxsize=4096)
def said(cell: str, sense: Sense) -> Said:
    """What a cell of a column says about texts to its person."""
    if sense is Sense.HINT:
        parts = re.split(r"[,;|/\r\n]", cell)
        return Said.UNCLEAR if any(plain(part) in _HINTS_AT_OUT for part in parts) else Said.NOTHING
    text = clean(cell).casefold()
    word = plain(text.removesuffix(".0")) or text
    if not text or word in _SAYS_NOTHING or _NULL_DATE.fullmatch(text):
        return Said.NOTHING
    if word in _SAYS_OUT:
        return Said.OUT
    if word in _SAYS_IN:
        return Said.IN
    if sense is Sense.CONSENT:
        return Said.UNCLEAR
    if word in _YES or _DATE.fullmatch(text):
        return Said.OUT if sense is Sense.OPT_OUT else Said.IN
    if word in _NO:
        return Said.NOTHING if sense is Sense.OPT_OUT else Said.OUT
    return Said.UNCLEAR
