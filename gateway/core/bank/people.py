"""What a person's name, e-mail address, ZIP and password may be, what a join code looks like, how long things last."""

import re
import unicodedata
from typing import Final, Literal

from gateway.core.rules.errors import BadInput

Language = Literal["en", "es"]
PersonRole = Literal["admin", "supervisor", "volunteer"]
"""The roles that a person may have in a campaign; `permissions.Role` has those of API keys as well."""

SESSION_IDLE_S: Final = 12 * 3600.0
"""A session that nobody used for as long has ended."""
SESSION_LONGEST_S: Final = 14 * 86_400.0
"""However much it is used, a session lasts no longer."""
MOST_SESSIONS: Final = 20
"""Of one person at once; one more ends the oldest."""
INVITATION_S: Final = 3 * 86_400.0
CODE_S: Final = 7 * 86_400.0
LONGEST_CODE_S: Final = 90 * 86_400.0
CODE_DIGITS: Final = 6

SHORTEST_PASSWORD: Final = 10
LONGEST_PASSWORD: Final = 200
LONGEST_NAME: Final = 100
LONGEST_EMAIL: Final = 254  # RFC 5321, 4.5.3.1.3, less the angle brackets

_EMAIL: Final = re.compile(r"[^@\s\x00-\x1f\x7f<>(),;:\\\"]{1,64}@[a-z0-9-]+(\.[a-z0-9-]+)+")
_ZIP: Final = re.compile(r"[0-9]{5}", re.ASCII)
_CODE: Final = re.compile(rf"[0-9]{{{CODE_DIGITS}}}", re.ASCII)


def clean_email(text: str) -> str:
    """The address lower-cased, by which a person is found. Raises BadInput; the address is not in the words."""
    email = unicodedata.normalize("NFKC", text).strip().lower()
    if len(email) > LONGEST_EMAIL or _EMAIL.fullmatch(email) is None:
        raise BadInput("this is no e-mail address", "email", "write it as name@example.org")
    return email


def clean_name(text: str) -> str:
    """A name on one line, spaces made single. Raises BadInput for none, or one of more than 100 characters."""
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not name or any(unicodedata.category(each) == "Cc" for each in name):
        raise BadInput("a person needs a name", "name", "write it as others should read it")
    if len(name) > LONGEST_NAME:
        raise BadInput(f"the name has more than {LONGEST_NAME} characters", "name", "shorten it")
    return name


def clean_zip(text: str) -> str:
    """Five digits; of ZIP+4 the first five. Raises BadInput."""
    bare = text.strip().partition("-")[0]
    if _ZIP.fullmatch(bare) is None:
        raise BadInput("this is no ZIP code", "zip", "write its five digits")
    return bare


def normal_password(password: str) -> str:
    """The same characters whichever keyboard they came from (NIST SP 800-63B, 5.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


def check_new_password(password: str, *, email: str, name: str) -> None:
    """Raises BadInput for a password too short, too long, of one repeated character, or that is the person's own
    address or name: NIST SP 800-63B asks for length, and for no mixture of characters."""
    normal = normal_password(password)
    if len(normal) < SHORTEST_PASSWORD:
        raise BadInput(
            f"the password has fewer than {SHORTEST_PASSWORD} characters", "password", "take a longer one"
        )
    if len(password) > LONGEST_PASSWORD or len(normal) > LONGEST_PASSWORD:
        raise BadInput(
            f"the password has more than {LONGEST_PASSWORD} characters", "password", "take a shorter one"
        )
    folded = normal.casefold()
    own = {email.casefold(), email.partition("@")[0].casefold(), name.casefold()}
    if folded in own or len(set(folded)) == 1:
        raise BadInput("others would guess this password", "password", "take another one")


def join_code(number: int) -> str:
    """Six digits of a random number, at least 64 bits of it."""
    return f"{number % 10**CODE_DIGITS:0{CODE_DIGITS}}"


def is_join_code(word: str) -> bool:
    """Whether the word has the shape of a code, rather than of what a link carries."""
    return _CODE.fullmatch(word) is not None
