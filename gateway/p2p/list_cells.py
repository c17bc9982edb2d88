"""What one cell of a contact list says: names, ZIP codes, states, line types, carriers and phones.

Every function takes the cell as it was typed and never raises: a cell that says nothing gives "" or None.
"""

import re
import unicodedata
from functools import lru_cache

from gateway.core.text.phone import Phone, PhoneFault, parse

# What spreadsheets and databases write for "nothing here". "Null" and "Nan" are real names: exact case.
BLANK_MARKS = frozenset(
    {"NULL", "null", "(null)", "<null>", "\\N", "NaN", "nan", "N/A", "n/a", "-", "--", ".", "?"}
    | {"#N/A", "#REF!", "#VALUE!", "#NAME?"}
)
# Controls, soft hyphens, zero-width and direction marks: invisible, yet they would make a text UCS-2.
# Joiners (U+200C, U+200D) stay: scripts and emoji need them.
INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\ufeff\ud800-\udfff]"
)


def clean(cell: str) -> str:
    """The cell as one line of visible text; "" for a blank or a mark of blankness such as `#N/A`."""
    if not cell:
        return ""
    if not (cell.isascii() and cell.isprintable()):
        cell = INVISIBLE.sub("", cell)
    text = " ".join(cell.split())
    return "" if text in BLANK_MARKS else text


def clean_lines(cell: str) -> str:
    """Like `clean`, but keeps inner blanks and line breaks (as LF): for custom fields."""
    if not (cell.isascii() and cell.isprintable()):
        cell = INVISIBLE.sub("", cell.replace("\r\n", "\n").replace("\r", "\n"))
    text = cell.strip()
    return "" if text in BLANK_MARKS else text


CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def words_of(text: str) -> list[str]:
    """The words of a header or a cell, case and accents off: "Voters_CellPhone" -> voters cell phone."""
    folded = unicodedata.normalize("NFKD", CAMEL.sub(" ", text)).casefold()
    return re.findall("[a-z0-9]+", "".join(mark for mark in folded if not unicodedata.combining(mark)))


def plain(text: str) -> str:
    """`words_of` in one: "Opt-Out" and "OPT OUT" differ from "optout" by nothing but signs and blanks."""
    return "".join(words_of(text))


def split_name(full_name: str) -> tuple[str, str]:
    """(first, last) of a cleaned "First Last" or "Last, First"; the rest after the first word is the last name."""
    last, comma, first = full_name.partition(",")
    if comma and first.strip() and not SUFFIX.fullmatch(first.strip()):
        return _drop_title(first.strip()).partition(" ")[0], last.strip()
    first, _, last = _drop_title(full_name).partition(" ")
    return first.rstrip(","), last.strip()


TITLE = re.compile(r"(?:mr|mrs|ms|miss|mx|dr|rev|hon|sr|sra)\.?\s+(?=\S)", re.IGNORECASE)
SUFFIX = re.compile(r"(?:jr|sr|ii|iii|iv|v|esq|md|phd)\.?", re.IGNORECASE)


def _drop_title(name: str) -> str:
    title = TITLE.match(name)
    return name[title.end() :] if title else name


ZIP = re.compile(r"(\d{3,5})(?:[-\s](\d{4}))?|(\d{3,5})(\d{4})")


@lru_cache(maxsize=65_536)
def zip_code(cell: str) -> str:
    """A US ZIP as "08540" or "08540-1234", leading zeros put back; "" when it is not one."""
    text = clean(cell).lstrip("='").strip('"').removesuffix(".0").rstrip("-")
    found = ZIP.fullmatch(text) if text.isascii() else None
    if found is None:
        return ""
    five, four = (found[1], found[2]) if found[1] else (found[3], found[4])
    return f"{five:0>5}-{four}" if four else f"{five:0>5}"


@lru_cache(maxsize=4096)
def state_code(cell: str) -> str:
    """The USPS abbreviation of a state, district, territory or military post; "" when it is not one."""
    letters = re.sub("[^a-z]", "", clean(cell).casefold())
    if len(letters) == 4 and letters.startswith("us"):  # ISO 3166-2: "US-PA"
        letters = letters[2:]
    return letters.upper() if letters.upper() in USPS else STATE_NAMES.get(letters, "")


STATES = """
AL Alabama Ala|AK Alaska|AZ Arizona Ariz|AR Arkansas Ark|CA California Calif Cal|CO Colorado Colo|CT Connecticut Conn
DE Delaware Del|DC DistrictOfColumbia WashingtonDC|FL Florida Fla|GA Georgia|HI Hawaii|ID Idaho|IL Illinois Ill
IN Indiana Ind|IA Iowa|KS Kansas Kan Kans|KY Kentucky|LA Louisiana|ME Maine|MD Maryland|MA Massachusetts Mass
MI Michigan Mich|MN Minnesota Minn|MS Mississippi Miss|MO Missouri|MT Montana Mont|NE Nebraska Neb Nebr
NV Nevada Nev|NH NewHampshire|NJ NewJersey|NM NewMexico NMex|NY NewYork NewYorkState|NC NorthCarolina NCar
ND NorthDakota NDak|OH Ohio|OK Oklahoma Okla|OR Oregon Ore Oreg|PA Pennsylvania Penn Penna|RI RhodeIsland
SC SouthCarolina SCar|SD SouthDakota SDak|TN Tennessee Tenn|TX Texas Tex|UT Utah|VT Vermont|VA Virginia
WA Washington Wash WashingtonState|WV WestVirginia WVa|WI Wisconsin Wis Wisc|WY Wyoming Wyo|PR PuertoRico|GU Guam
VI VirginIslands USVirginIslands|AS AmericanSamoa|MP NorthernMarianaIslands|AA|AE|AP
"""
_STATE_WORDS = [entry.split() for entry in STATES.replace("\n", "|").split("|") if entry]
USPS = frozenset(words[0] for words in _STATE_WORDS)
STATE_NAMES = {name.casefold(): words[0] for words in _STATE_WORDS for name in words[1:]}


@lru_cache(maxsize=4096)
def line_type(cell: str) -> str | None:
    """ "mobile", "landline" or "voip"; None when the cell does not say. Includes Twilio Lookup's words."""
    return LINE_TYPES.get(re.sub("[^a-z]", "", cell.casefold()))


LINE_TYPES = {
    word: kind
    for kind, words in {
        "landline": "landline landlines land line fixed fixedline l ll pots wireline telco notacell",
        "mobile": "mobile cell cellular cellphone mobilephone wireless smartphone c m w sms verifiedcell likelycell",
        "voip": "voip fixedvoip nonfixedvoip v",
    }.items()
    for word in words.split()
}

# Brands onto the networks that price them; the order matters ("Cricket Wireless (AT&T)").
CARRIERS = (
    ("att", ("att", "cingular", "cricket", "firstnet", "consumercellular")),
    ("tmobile", ("tmobile", "tmo", "sprint", "metropcs", "metroby", "mintmobile")),
    ("verizon", ("verizon", "vzw", "cellco", "visible", "xfinity", "spectrum", "tracfone", "straighttalk")),
    ("uscellular", ("uscellular", "uscc", "unitedstatescellular")),
    ("voip", ("voip", "bandwidth", "twilio", "googlevoice", "vonage", "onvoy", "peerless", "textnow")),
    ("regional", ("regional", "cspire", "appalachian", "gci", "union", "viaero", "cellcom")),
)


@lru_cache(maxsize=4096)
def carrier(cell: str) -> str | None:
    """The price table's name for a carrier or brand; None when unknown (the planning price then holds)."""
    letters = re.sub("[^a-z]", "", cell.casefold())
    return next((name for name, marks in CARRIERS if letters.startswith(marks)), None)


YES = frozenset(("1", "1.0", "t", "true", "x", "y", "yes", "landline"))


@lru_cache(maxsize=4096)
def is_marked(cell: str) -> bool:
    """Whether a flag column says yes, and nothing less: a landline column may hold numbers instead of flags."""
    return clean(cell).casefold() in YES


def read_phone(cell: str) -> Phone | PhoneFault:
    """`parse`; besides, marks of blankness are blank, and of several whole numbers in a cell the first is taken."""
    found = parse(cell)
    if isinstance(found, Phone):
        return found
    text = clean(cell)
    return (_first_of_several(cell) or found) if text else PhoneFault.BLANK


def _first_of_several(cell: str) -> Phone | None:
    """The first of several numbers, each whole: "215-555-0100 / 267-555-0101"; None if any part is not a number."""
    phones = [parse(part) for part in SEPARATORS.split(cell) if part.strip()]
    whole = [phone for phone in phones if isinstance(phone, Phone)]
    return whole[0] if len(whole) == len(phones) > 1 else None


SEPARATORS = re.compile(r"[/;,|&\r\n]|\bor\b|\band\b", re.IGNORECASE)
ROUNDED = re.compile(r"\s*\d[.,]\d+E\+?\d+\s*", re.IGNORECASE)


def fault_text(cell: str, fault: PhoneFault) -> str:
    """The sentence for the list's owner; says so when a spreadsheet rounded the number away."""
    if ROUNDED.fullmatch(cell):
        return "A spreadsheet rounded this number (2.15555E+09): format the column as text and export again."
    return fault.reason
