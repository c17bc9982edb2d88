"""Our numbers at Twilio: search, buy, configure, put into the Messaging Service, release."""

from collections.abc import AsyncIterator

import msgspec
from yarl import URL

from gateway.core.rules.errors import Kind, consequence
from gateway.providers.base import AnswerLost, BoughtNumber, ProviderError, Refused
from gateway.providers.twilio.account import Account
from gateway.providers.twilio.records import ForSale, ForSalePage, PhoneNumber, PhoneNumberPage, Service
from gateway.providers.twilio.webhooks import INBOUND_PATH, RETRIES
from gateway.providers.twilio.wire import Wire, decoded, pages, query_url, readable

_NONE_IN_AREA_CODE = 21452
_OFFERS = 20
_TRIES = 3

_for_sale = msgspec.json.Decoder(ForSalePage).decode
_offer = msgspec.json.Decoder(ForSale).decode
_phone_number = msgspec.json.Decoder(PhoneNumber).decode
_service = msgspec.json.Decoder(Service).decode
_phone_numbers = msgspec.json.Decoder(PhoneNumberPage).decode


class Numbers:
    """IncomingPhoneNumbers and the senders of one Messaging Service."""

    def __init__(self, account: Account, wire: Wire, root: str) -> None:
        self._wire = wire
        self._root = root
        self._owned_url = URL(f"{root}/IncomingPhoneNumbers.json", encoded=True)
        self._inbound = [
            ("SmsUrl", f"{account.public_url}{INBOUND_PATH}{RETRIES}"),
            ("SmsMethod", "POST"),
        ]
        service = account.messaging_service
        self._service = f"{account.messaging_url}/v1/Services/{service}" if service else None

    async def buy(self, campaign_id: int, area_code: str) -> BoughtNumber:
        """The first of the offered numbers that nobody else takes meanwhile (21422)."""
        for phone in await self.search(area_code):
            try:
                bought = await self._purchase(campaign_id, phone)
            except Refused as error:
                if error.code is None or consequence(error.code).kind is not Kind.PURCHASE:
                    raise
                continue
            await self._register(bought)
            return bought
        raise Refused(_NONE_IN_AREA_CODE, f"no number for sale in area code {area_code or '(any)'}")

    async def bought_for(self, campaign_id: int) -> list[BoughtNumber]:
        """By friendly name, and pointed at our own webhook: another gateway may share the account.

        Each joins the Messaging Service now, if a crash came before that.
        """
        found: list[BoughtNumber] = []
        first = query_url(
            self._owned_url, [("FriendlyName", _friendly_name(campaign_id)), ("PageSize", "1000")]
        )
        async for page in pages(self._wire, first, _phone_numbers):
            for number in readable(_phone_number, page.incoming_phone_numbers):
                if number.sms_url == self._inbound[0][1] and number.friendly_name == _friendly_name(
                    campaign_id
                ):
                    await self.add_to_service(number.sid)
                    found.append(BoughtNumber(number.phone_number, number.sid))
        return found

    async def search(self, area_code: str) -> list[str]:
        """Local numbers for sale that can text; "" is any area code."""
        wanted = [("SmsEnabled", "true"), ("PageSize", str(_OFFERS))]
        if area_code:
            wanted.insert(0, ("AreaCode", area_code))
        url = query_url(URL(f"{self._root}/AvailablePhoneNumbers/US/Local.json", encoded=True), wanted)
        page = decoded(_for_sale, await self._wire.get(url))
        return [offer.phone_number for offer in readable(_offer, page.available_phone_numbers)]

    async def owned(self, phone: str = "") -> AsyncIterator[BoughtNumber]:
        """The account's numbers, or the one with this phone."""
        filters = [("PhoneNumber", phone)] if phone else []
        first = query_url(self._owned_url, [*filters, ("PageSize", "1000")])
        async for page in pages(self._wire, first, _phone_numbers):
            for number in readable(_phone_number, page.incoming_phone_numbers):
                yield BoughtNumber(number.phone_number, number.sid)

    async def configure(self, provider_sid: str) -> None:
        """Points a number that we have at our inbound webhook."""
        await self._wire.post(self._number_url(provider_sid), self._inbound)

    async def add_to_service(self, provider_sid: str) -> None:
        """One that is in it already (21710) is in it, so a lost answer is simply asked again."""
        if self._service is None:
            return
        for nth in range(1, _TRIES + 1):
            try:
                await self._wire.post(
                    URL(f"{self._service}/PhoneNumbers"), [("PhoneNumberSid", provider_sid)]
                )
                return
            except Refused as error:
                if error.code is not None and consequence(error.code).kind is Kind.BENIGN:
                    return
                raise
            except ProviderError:
                if nth == _TRIES:
                    raise

    async def remove_from_service(self, provider_sid: str) -> None:
        if self._service is not None:
            await self._delete(URL(f"{self._service}/PhoneNumbers/{provider_sid}"))

    async def check_service(self) -> list[str]:
        """A service with no webhook of its own drops what people text, for good, unless it uses the numbers'."""
        if self._service is None:
            return []
        service = decoded(_service, await self._wire.get(URL(self._service)))
        if service.use_inbound_webhook_on_number or service.inbound_request_url == self._inbound[0][1]:
            return []
        remedy = f"set UseInboundWebhookOnNumber, or its InboundRequestUrl to {self._inbound[0][1]}"
        return [f"the Messaging Service does not bring people's texts to us: {remedy}"]

    async def release(self, provider_sid: str) -> None:
        """The number leaves its Messaging Service by itself."""
        await self._delete(self._number_url(provider_sid))

    async def _purchase(self, campaign_id: int, phone: str) -> BoughtNumber:
        """A lost answer is settled at once: either the number is ours now, or nothing happened."""
        form = [("PhoneNumber", phone), ("FriendlyName", _friendly_name(campaign_id)), *self._inbound]
        try:
            number = decoded(_phone_number, await self._wire.post(self._owned_url, form))
        except AnswerLost:
            async for bought in self.owned(phone):
                if bought.phone == phone:
                    return bought
            raise
        return BoughtNumber(number.phone_number, number.sid)

    async def _register(self, bought: BoughtNumber) -> None:
        """A number that can't join the service may not text for the campaign: it goes back.

        It was paid for all the same, and may still be ours: AnswerLost, whatever the error.
        """
        try:
            await self.add_to_service(bought.provider_sid)
        except ProviderError as error:
            await self._give_back(bought)
            raise AnswerLost(error.code, f"a bought number can't join the service: {error}") from error

    async def _give_back(self, bought: BoughtNumber) -> None:
        try:
            await self.release(bought.provider_sid)
        except ProviderError:
            return  # its friendly name tells the operator whose it was

    async def _delete(self, url: URL) -> None:
        """What is gone already is gone."""
        try:
            await self._wire.delete(url)
        except Refused as error:
            if error.code not in (404, 20404):
                raise

    def _number_url(self, provider_sid: str) -> URL:
        return URL(f"{self._root}/IncomingPhoneNumbers/{provider_sid}.json")


def _friendly_name(campaign_id: int) -> str:
    return f"textbank campaign {campaign_id}"
