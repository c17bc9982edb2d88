"""E-mail over a real SMTP server: what arrives, who is let in, and what is told when nobody takes it."""

import pytest

from gateway.core.rules.errors import BadInput
from gateway.providers.smtp import NotMailed, Smtp
from tests.providers.smtp_server import office

TO, SECRET = "ann@example.org", "p@ss:word"


async def test_a_letter_arrives_as_it_was_written() -> None:
    async with office() as opened:
        smtp = Smtp(f"smtp://127.0.0.1:{opened.port}", "bank@example.org")
        await smtp.send(TO, "Su código", "123456 es su código.\n")
        letter = await opened.next()
    assert (letter["From"], letter["To"], letter["Subject"]) == ("bank@example.org", TO, "Su código")
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter.get_content().replace("\r", "") == "123456 es su código.\n"


async def test_a_subject_is_one_line_whatever_a_campaign_is_called() -> None:
    async with office() as opened:
        smtp = Smtp(f"smtp://127.0.0.1:{opened.port}", "bank@example.org")
        await smtp.send(TO, "North\r\nBcc: eve@example.org\x00", "Hello")
        letter = await opened.next()
    assert (letter["Subject"], letter["Bcc"]) == ("North Bcc: eve@example.org", None)


@pytest.mark.parametrize(("password", "is_let_in"), [("p%40ss%3Aword", True), ("other", False)])
async def test_a_server_may_want_a_password(password: str, is_let_in: bool) -> None:
    async with office(login=("bank", SECRET)) as opened:
        smtp = Smtp(f"smtp://bank:{password}@127.0.0.1:{opened.port}", "bank@example.org")
        if is_let_in:
            await smtp.send(TO, "Code", "123456")
            assert (await opened.next())["To"] == TO
            return
        with pytest.raises(NotMailed) as told:
            await smtp.send(TO, "Code", "123456")
    assert password not in str(told.value)


async def test_no_password_and_no_letter_goes_in_the_clear_to_another_machine() -> None:
    """127.0.0.2 is not known for this machine, and its server speaks no TLS."""
    async with office(host="127.0.0.2", login=("bank", SECRET)) as opened:
        smtp = Smtp(f"smtp://bank:p%40ss%3Aword@127.0.0.2:{opened.port}", "bank@example.org")
        with pytest.raises(NotMailed):
            await smtp.send(TO, "Code", "123456")
        assert opened.letters.empty()


async def test_a_letter_that_is_refused_is_told_without_the_address() -> None:
    async with office() as opened:
        opened.answer = f"550 no such person {TO}"
        smtp = Smtp(f"smtp://127.0.0.1:{opened.port}", "bank@example.org")
        with pytest.raises(NotMailed) as told:
            await smtp.send(TO, "Code", "123456")
    assert TO not in str(told.value)


async def test_nobody_at_the_port_is_told() -> None:
    async with office() as opened:
        port = opened.port
    with pytest.raises(NotMailed):
        await Smtp(f"smtp://127.0.0.1:{port}", "bank@example.org").send(TO, "Code", "123456")


@pytest.mark.parametrize("url", ["smtp://", "smtp://host:port", "smtp://:25"])
def test_an_address_that_no_server_has_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match="mail"):
        Smtp(url, "bank@example.org")
