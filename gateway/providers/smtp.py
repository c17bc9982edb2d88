"""E-mail by SMTP: one connection a letter, encrypted unless the server is this machine."""

from email.message import EmailMessage
from typing import Final
from urllib.parse import unquote, urlsplit

import aiosmtplib

from gateway.core.rules.errors import BadInput

_SUBMISSION, _SUBMISSION_TLS = 587, 465  # RFC 6409, RFC 8314
_TIMEOUT_S: Final = 15.0
_THIS_MACHINE: Final = ("localhost", "127.0.0.1", "::1")


class NotMailed(OSError):
    """Nobody took the letter; the words say why, and name no address."""


class Smtp:
    """A server that takes our letters, from `smtp://` (STARTTLS) or `smtps://user:password@host:port`."""

    def __init__(self, url: str, sender: str) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError as error:
            raise BadInput("mail.url has no port that can be", "settings", "write smtp://host:587") from error
        if not parts.hostname:
            raise BadInput("mail.url names no server", "settings", "write it as smtp://host:587")
        self._host = parts.hostname
        self._is_tls = parts.scheme == "smtps"
        self._port = port or (_SUBMISSION_TLS if self._is_tls else _SUBMISSION)
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._sender = sender

    async def send(self, to: str, subject: str, text: str) -> None:
        """Returns when the server has taken it. Raises NotMailed."""
        letter = EmailMessage()
        letter["From"], letter["To"], letter["Subject"] = self._sender, to, _one_line(subject)
        letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answering machine answers it
        letter.set_content(text)
        try:
            await aiosmtplib.send(
                letter,
                hostname=self._host,
                port=self._port,
                username=self._user,
                password=self._password,
                use_tls=self._is_tls,
                start_tls=not self._is_tls and self._host not in _THIS_MACHINE,
                timeout=_TIMEOUT_S,
            )
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise NotMailed(type(error).__name__) from None


def _one_line(text: str) -> str:
    """A header takes no line break and no control character, and a campaign's name may have one."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())
