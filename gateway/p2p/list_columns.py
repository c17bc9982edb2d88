"""Which column of a contact list holds what, by its header in any case, order and spelling (F103, C8, C21)."""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from gateway.p2p.list_cells import words_of
from gateway.p2p.list_consent import Sense, sense_of


class Meaning(StrEnum):
    """What a column holds."""

    PHONE = "phone"
    LINE_TYPE = "line_type"
    CARRIER = "carrier"
    EXTENSION = "extension"
    LANDLINE_FLAG = "landline_flag"
    FIRST_NAME = "first_name"
    LAST_NAME = "last_name"
    FULL_NAME = "full_name"
    EMAIL = "email"
    ZIP = "zip"
    STATE = "state"
    ASSIGNEE = "assignee"
    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"
    CONSENT = "consent"
    CUSTOM_FIELD = "custom_field"


NOTHING_SAID: Final[Mapping[str, str]] = MappingProxyType({})


class Rank(StrEnum):
    """Kinds of phone column, in the order in which a row's phone is looked for."""

    CELL = "cell"
    PHONE = "phone"
    HOME = "home"
    WORK = "work"
    LANDLINE = "landline"


class PhoneColumn(Struct, frozen=True):
    """A phone column and the columns that speak about it; -1 is "no such column"."""

    index: int
    header: str
    rank: Rank
    line_type: int = -1
    carrier: int = -1
    extension: int = -1
    landline_flag: int = -1


class Columns(Struct, frozen=True):
    """The header read. Indexes are positions in a row, -1 is "no such column"; phones in order of preference."""

    headers: tuple[str, ...]
    phones: tuple[PhoneColumn, ...]
    first_name: int
    last_name: int
    full_name: int
    email: int
    zip: int
    state: int
    assignee: int
    consents: tuple[tuple[int, Sense], ...]
    fields: tuple[tuple[int, str], ...]
    recognised: dict[str, str]
    ignored: tuple[str, ...]


# Headers with everything but letters and digits taken out, case folded, accents off.
HEADERS = {
    header: meaning
    for meaning, headers in {
        Meaning.FIRST_NAME: "firstname first fname given givenname forename namefirst nombre primernombre",
        Meaning.LAST_NAME: "lastname last lname surname family familyname namelast apellido apellidos",
        Meaning.FULL_NAME: "fullname name displayname nombrecompleto firstandlastname firstlastname",
        Meaning.EMAIL: "email emailaddress mail emails correo correoelectronico",
        Meaning.ZIP: """zip zipcode zip5 zip9 zipcode5 zips zippostal zippostalcode postal postalcode postcode
            codigopostal""",
        Meaning.STATE: """state stateabbrev stateabbr stateabbreviation statecode statename stateprovince
            stateorprovince usstate st estado""",
        Meaning.ASSIGNEE: """assignee assigneeemail assigned assignedto assigneduser assignedvolunteer assignto
            assignment volunteer volunteeremail texter texteremail""",
        Meaning.LANDLINE_FLAG: "landline islandline landlineflag",
        Meaning.LINE_TYPE: "iscell isacell devicetype",
    }.items()
    for header in headers.split()
}


def _vocabulary(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Words that exports put around a header and that change nothing ("Voters_FirstName", "PreferredEmail").
NOISE = _vocabulary("""
    voter voters voterbase contact contacts person supporter recipient primary preferred best main residence
    residential residences registration reg mailing home address addresses vb vf tsmart can2
    m v
""")
RANK_WORDS = {
    word: rank
    for rank, words in {
        Rank.LANDLINE: "landline",
        Rank.WORK: "work office business workphone",
        Rank.HOME: "home homephone",
        Rank.CELL: """cell cells mobile cellular wireless cellphone mobilephone cellnumber mobilenumber
            cellphonenumber mobilephonenumber mphone celular movil smsnumber""",
        Rank.PHONE: "phone phones telephone telephones tel phonenumber telephonenumber phonenum telefono msisdn",
    }.items()
    for word in words.split()
}
# These say which phone it is, never that it is one.
PLACE_WORDS = _vocabulary("home work office business")
# A column with one of these is about a phone, not a phone.
ABOUT_WORDS = _vocabulary("""
    type ext extension status score date at on in consent opt optin optout opted ok valid validity verified flag
    match matched source provider country id notes note comment comments count confidence quality has is do not
    call bank banks banking time area code dnc label app fax carrier network dialing dial prefix
""")
ATTRIBUTE_WORDS = {
    Meaning.LINE_TYPE: _vocabulary("type linetype phonetype phonelinetype numbertype celltype"),
    Meaning.CARRIER: _vocabulary("carrier network phonecarrier cellcarrier"),
    Meaning.EXTENSION: _vocabulary("ext extension phoneext phoneextension"),
}
ATTRIBUTE_FILLERS = _vocabulary("line number name current lookup carrier")
MOST_HEADER_WORDS = 6
CUSTOM_FIELD = re.compile(r"(custom[\s_-]*field)s?[\s_:.\-]+(.+)", re.IGNORECASE | re.DOTALL)


def field_slug(header: str, known: Sequence[str] = ()) -> str:
    """The slug of a `custom_field_<slug>` header (F103) or of a bare header that names a known field (C21); else "".

    A known field's own spelling wins. Otherwise the slug is kept as typed when the prefix is, else lower-cased.
    """
    custom = CUSTOM_FIELD.fullmatch(header.strip())
    slug = re.sub(r"\W+", "_", custom[2] if custom else header.strip()).strip("_")
    same = next((name for name in known if name.casefold() == slug.casefold()), "")
    if same or custom is None:
        return same
    return slug if custom[1] == "custom_field" else slug.casefold()


def meaning_of(header: str, known_fields: Sequence[str] = ()) -> Meaning | None:
    """What a column with this header holds; None when it says nothing to us."""
    words = words_of(header)
    if CUSTOM_FIELD.fullmatch(header.strip()):
        return Meaning.CUSTOM_FIELD if field_slug(header, known_fields) else None
    exact = HEADERS.get("".join(words)) or _consent(words)
    if exact is None and field_slug(header, known_fields):
        return Meaning.CUSTOM_FIELD
    if exact is not None or len(words) > MOST_HEADER_WORDS:
        return exact
    attribute = _attribute(words)
    if attribute is not None or _is_phone(words):
        return attribute or Meaning.PHONE
    return HEADERS.get("".join(word for word in words if word not in NOISE).removesuffix("1"))


def _consent(words: list[str]) -> Meaning | None:
    sense = sense_of(words)
    return None if sense is None or sense is Sense.HINT else Meaning(sense.value)


def _is_phone(words: list[str]) -> bool:
    if ABOUT_WORDS.intersection(words):
        return False
    plain = {word.rstrip("0123456789") for word in words}
    return words == ["contact", "number"] or any(
        word in RANK_WORDS and word not in PLACE_WORDS for word in plain
    )


def _attribute(words: list[str]) -> Meaning | None:
    """A column about a phone: what is left beside its own word must name a phone, or nothing."""
    for meaning, marks in ATTRIBUTE_WORDS.items():
        rest = [word for word in words if word not in marks and word not in ATTRIBUTE_FILLERS]
        if marks.intersection(words) and all(word.rstrip("0123456789") in RANK_WORDS for word in rest):
            return meaning
    return None


def _rank(words: list[str]) -> Rank:
    ranks = {RANK_WORDS[plain] for word in words if (plain := word.rstrip("0123456789")) in RANK_WORDS}
    return next((rank for rank in RANK_WORDS.values() if rank in ranks), Rank.PHONE)


def read_header(
    header: Sequence[str], known_fields: Sequence[str] = (), taken_for: Mapping[str, str] = NOTHING_SAID
) -> Columns:
    """Every column's meaning. The first column of a meaning wins; later ones are ignored (phones are all kept).

    `taken_for`: by a header in any case, another header as which its owner wants it read ("": not at all).
    """
    headers = tuple(name.replace("\0", "").strip().lstrip("\ufeff") for name in header)
    read_as = tuple(taken_for.get(name.casefold(), name) for name in headers)
    meanings = [meaning_of(name, known_fields) for name in read_as]
    if Meaning.PHONE not in meanings:  # "landline" alone is the list's phone column, not a flag
        meanings = [Meaning.PHONE if meaning is Meaning.LANDLINE_FLAG else meaning for meaning in meanings]
    first: dict[Meaning, int] = {}
    for index, meaning in enumerate(meanings):
        if meaning is not None:
            first.setdefault(meaning, index)
    fields = _fields(read_as, meanings, known_fields)
    phones = _phones(headers, read_as, meanings)
    used = _used_indexes(meanings, first, fields, phones)
    return Columns(
        headers=headers,
        phones=phones,
        first_name=first.get(Meaning.FIRST_NAME, -1),
        last_name=first.get(Meaning.LAST_NAME, -1),
        full_name=first.get(Meaning.FULL_NAME, -1),
        email=first.get(Meaning.EMAIL, -1),
        zip=first.get(Meaning.ZIP, -1),
        state=first.get(Meaning.STATE, -1),
        assignee=first.get(Meaning.ASSIGNEE, -1),
        consents=_consents(read_as, meanings),
        fields=fields,
        recognised={headers[index]: used[index] for index in sorted(used)},
        ignored=tuple(name for index, name in enumerate(headers) if index not in used and name),
    )


def _fields(
    headers: tuple[str, ...], meanings: list[Meaning | None], known: Sequence[str]
) -> tuple[tuple[int, str], ...]:
    """(index, slug) of the custom fields; the first column of a slug wins."""
    slugs: dict[str, int] = {}
    for index, meaning in enumerate(meanings):
        if meaning is Meaning.CUSTOM_FIELD:
            slugs.setdefault(field_slug(headers[index], known), index)
    return tuple((index, slug) for slug, index in slugs.items())


def _consents(headers: tuple[str, ...], meanings: list[Meaning | None]) -> tuple[tuple[int, Sense], ...]:
    """Every column that says something about consent, and those not used otherwise that might."""
    senses = ((index, sense_of(words_of(header))) for index, header in enumerate(headers))
    return tuple(
        (index, sense)
        for index, sense in senses
        if sense is not None
        and (meanings[index] in CONSENTS or (sense is Sense.HINT and meanings[index] is None))
    )


CONSENTS = (Meaning.OPT_OUT, Meaning.OPT_IN, Meaning.CONSENT)
ATTRIBUTES = (Meaning.LINE_TYPE, Meaning.CARRIER, Meaning.EXTENSION, Meaning.LANDLINE_FLAG)


def _phones(
    headers: tuple[str, ...], read_as: tuple[str, ...], meanings: list[Meaning | None]
) -> tuple[PhoneColumn, ...]:
    words = {
        index: words_of(read_as[index]) for index, meaning in enumerate(meanings) if meaning is Meaning.PHONE
    }
    ranked = sorted(words, key=lambda index: (list(Rank).index(_rank(words[index])), index))
    bound: dict[int, dict[str, int]] = {index: {} for index in words}
    for index, meaning in enumerate(meanings):
        if meaning in ATTRIBUTES and ranked:
            target = _spoken_of(words_of(read_as[index]), ranked, words)
            bound[target].setdefault(meaning.value, index)
    return tuple(
        PhoneColumn(index=index, header=headers[index], rank=_rank(words[index]), **bound[index])
        for index in ranked
    )


def _spoken_of(attribute: list[str], ranked: list[int], words: dict[int, list[str]]) -> int:
    """The phone column an attribute column is about: same words, else the plain "phone", else the first choice."""
    fillers = ATTRIBUTE_FILLERS.union({"is", "flag", "landline"}, *ATTRIBUTE_WORDS.values())
    named = [word for word in attribute if word not in fillers]
    for index in ranked:
        if named and named == [word for word in words[index] if word != "number"]:
            return index
    return next((index for index in ranked if _rank(words[index]) is Rank.PHONE), ranked[0])


def _used_indexes(
    meanings: list[Meaning | None],
    first: dict[Meaning, int],
    fields: tuple[tuple[int, str], ...],
    phones: tuple[PhoneColumn, ...],
) -> dict[int, str]:
    """Index -> what it was recognised as, only for columns that the reader will look at."""
    used = {index: f"custom_field_{slug}" for index, slug in fields}
    for phone in phones:
        used[phone.index] = Meaning.PHONE.value
        for index in (phone.line_type, phone.carrier, phone.extension, phone.landline_flag):
            used.setdefault(index, str(meanings[index]))
    for index, meaning in enumerate(meanings):
        if meaning in CONSENTS or (
            meaning is not None and meaning not in ATTRIBUTES and first[meaning] == index
        ):
            used.setdefault(index, meaning.value)
    used.pop(-1, None)
    return used
