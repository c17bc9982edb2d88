"""TwiML: what an application answers to a webhook (twilio.com/docs/messaging/twiml)."""

import re
from xml.etree import ElementTree as ET

import msgspec


class Reply(msgspec.Struct, frozen=True):
    """One <Message> of a TwiML answer."""

    body: str
    to: str = ""
    sender: str = ""
    media: tuple[str, ...] = ()
    callback: str = ""


class Redirect(msgspec.Struct, frozen=True):
    """A <Redirect>: the rest of the answer is to be had there."""

    url: str
    method: str = "POST"


class Twiml(msgspec.Struct, frozen=True):
    """What an answer says: its messages, where it goes on, and the verbs that are none of messaging's."""

    replies: tuple[Reply, ...] = ()
    redirect: Redirect | None = None
    unknown: tuple[str, ...] = ()


class BadTwiml(ValueError):
    """An answer that is no TwiML."""


def twiml_of(content: bytes) -> Twiml:
    """A TwiML document of bounded size; raises BadTwiml. Entities are never expanded."""
    if re.search(rb"<!(?:DOCTYPE|ENTITY)", content, re.IGNORECASE):
        raise BadTwiml("a document type is not allowed")
    try:
        root = ET.fromstring(content)
    except (ET.ParseError, ValueError, LookupError) as error:
        raise BadTwiml(f"not well-formed: {error}") from error
    if root.tag != "Response":
        raise BadTwiml(f"expected <Response>, found <{root.tag}>")
    replies: list[Reply] = []
    unknown: list[str] = []
    for element in root:
        if element.tag in {"Message", "Sms"}:
            replies.append(_reply(element))
        elif element.tag == "Redirect":  # what comes after it is never reached
            method = "GET" if element.get("method", "").upper() == "GET" else "POST"
            return Twiml(tuple(replies), Redirect((element.text or "").strip(), method), tuple(unknown))
        else:
            unknown.append(element.tag)
    return Twiml(tuple(replies), None, tuple(unknown))


def _reply(element: ET.Element) -> Reply:
    bodies = [child.text or "" for child in element if child.tag == "Body"]
    return Reply(
        body="\n".join(bodies) if bodies else (element.text or "").strip(),
        to=element.get("to", ""),
        sender=element.get("from", ""),
        media=tuple((child.text or "").strip() for child in element if child.tag == "Media"),
        callback=element.get("statusCallback") or element.get("action") or "",
    )
