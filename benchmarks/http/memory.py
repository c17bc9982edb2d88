"""Memory over a long run: what both processes hold while five campaigns text the same 50,000 people."""

import asyncio

import msgspec

from benchmarks.http.house import House
from benchmarks.http.whole_life import live

CAMPAIGNS = 5
_WARM_UP = 100
_LOOKS = 5  # a campaign
_REST_S = 10.0  # after a campaign: what is held then is kept, not in use


class Held(msgspec.Struct, frozen=True):
    """Resident megabytes of each process when so many messages were final."""

    final: int
    gateway_mb: float
    carrier_mb: float


class Memory(msgspec.Struct, frozen=True):
    """`growth` is how much more each process holds at the end than after the first campaign, as a share."""

    messages: int
    growth: dict[str, float]
    bytes_a_message: dict[str, float]
    held: list[Held]


async def memory(house: House, people: int) -> Memory:
    """The lives of five campaigns' messages to as many people, one campaign after the other."""
    held = [_held(house, 0)]
    settled = held[0]
    for nth in range(CAMPAIGNS):
        campaign_id = await house.campaign(f"memory {nth}")
        contacts = await house.people(campaign_id, people)
        await house.warm_up(campaign_id, contacts[:_WARM_UP])
        before = nth * people

        def look(final: int, before: int = before) -> None:
            if before + final >= held[-1].final + people // _LOOKS:
                held.append(_held(house, before + final))

        await live(house, campaign_id, contacts[_WARM_UP:], seen=look)
        await asyncio.sleep(_REST_S)
        held.append(_held(house, before + people))
        settled = held[-1] if nth == 0 else settled
    return _compared(settled, held)


def _compared(settled: Held, held: list[Held]) -> Memory:
    first = {"gateway": settled.gateway_mb, "carrier": settled.carrier_mb}
    last = {"gateway": held[-1].gateway_mb, "carrier": held[-1].carrier_mb}
    more = held[-1].final - settled.final
    return Memory(
        held[-1].final,
        {name: round(last[name] / first[name] - 1, 4) for name in first},
        {name: round(1e6 * (last[name] - first[name]) / more, 1) for name in first},
        held,
    )


def _held(house: House, final: int) -> Held:
    gateway, carrier = house.gateway.resident_bytes(), house.carrier.resident_bytes()
    return Held(final, round(gateway / 1e6, 1), round(carrier / 1e6, 1))
