"""The Authorization header that a challenge asks for: Basic (RFC 7617) and Digest (RFC 7616)."""

import hashlib
from base64 import b64encode
from typing import NamedTuple
from urllib.request import parse_http_list, parse_keqv_list

_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}
_FIRST_USE = "00000001"  # of a server's nonce


class Credentials(NamedTuple):
    """User and password of a webhook's address."""

    user: str
    password: str


def authorization(challenge: str, credentials: Credentials, method: str, uri: str, cnonce: str) -> str:
    """What answers a WWW-Authenticate header; empty for one that is none of the two schemes."""
    scheme, _, parameters = challenge.partition(" ")
    if scheme.lower() == "basic":
        return f"Basic {b64encode(':'.join(credentials).encode()).decode()}"
    if scheme.lower() == "digest":
        return _digest(parameters, credentials, method, uri, cnonce)
    return ""


def _digest(parameters: str, credentials: Credentials, method: str, uri: str, cnonce: str) -> str:
    try:
        asked = parse_keqv_list(parse_http_list(parameters))
    except ValueError:
        return ""
    if not credentials.user.isprintable() or '"' in credentials.user:
        return ""
    name = asked.get("algorithm", "MD5").upper()
    qops = [each.strip() for each in asked.get("qop", "").split(",")]
    if name not in _HASHES or ("auth" not in qops and qops != [""]):
        return ""
    realm, nonce = asked.get("realm", ""), asked.get("nonce", "")

    def hashed(*parts: str) -> str:
        return _HASHES[name](":".join(parts).encode()).hexdigest()

    secret, request = hashed(credentials.user, realm, credentials.password), hashed(method, uri)
    use = (_FIRST_USE, cnonce, "auth") if "auth" in qops else ()
    given = {
        "username": credentials.user,
        "realm": realm,
        "nonce": nonce,
        "uri": uri,
        "response": hashed(secret, nonce, *use, request),
    }
    if "opaque" in asked:
        given["opaque"] = asked["opaque"]
    quoted = [f'{key}="{value}"' for key, value in given.items()]
    bare = [f"algorithm={name}"] + ([f'qop=auth, nc={_FIRST_USE}, cnonce="{cnonce}"'] if use else [])
    return f"Digest {', '.join(quoted + bare)}"
