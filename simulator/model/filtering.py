"""The carriers' filter: what a text says, and what its campaign and its number have done lately.

Carriers publish no probabilities: the figures are assumptions [A] shaped by published practice [S]: public
shorteners refused, opt-out wording wanted in a first text, 3 % daily opt-outs a warning, 5 % a flag, 10 % a
suspension, healthy spam complaints below 0.02 %, at most 49 numbers per campaign without approval. One published
comparison says how much more a link and length cost a first text (Hustle, 2018).
"""

import re
from copy import copy
from enum import IntEnum
from math import exp, log

import msgspec

from simulator.model.carriers import AtLeastOne, Positive, Seconds, Share

_TICK_S = 60.0  # counters decay once a minute: finer would cost more and show nothing
_CACHED_BODIES = 8_192
_NUMBERS_ALLOWED = 49  # per campaign without a number-pool approval [S]

_SHORTENER = re.compile(
    r"\b(?:bit\.ly|tinyurl\.com|goo\.gl|is\.gd|tiny\.cc|ow\.ly|t\.co|buff\.ly|rebrand\.ly|cutt\.ly|rb\.gy"
    r"|shorturl\.at|v\.gd|t\.ly|bl\.ink)/",
    re.IGNORECASE,
)
_OPT_OUT = re.compile(
    r"\b(?:stop|unsubscribe|opt[- ]?out|quit|end|cancel|remove|alto|parar|cancelar)\b", re.IGNORECASE
)
_SHAFT = re.compile(  # sex, hate, alcohol, firearms, tobacco: the CTIA's list of refused subjects
    r"\b(?:sex|porn|nude|vodka|whisk[e]?y|beer|gun|guns|ammo|rifle|firearm|vape|cbd|cannabis|marijuana|tobacco"
    r"|cigarettes?)\b",
    re.IGNORECASE,
)
_LINK = re.compile(r"https?://|www\.", re.IGNORECASE)
_LONG = 160  # characters, from here a first text is filtered more often [S: Hustle, 2018]
_WORD = re.compile(r"[^\W\d_]{2,}")


class FilteringParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Shares are added probabilities of being filtered; thresholds are shares of recent traffic."""

    base_share: Share = 0.002  # registered, healthy content [A]
    shortener_share: Share = 0.05  # a public link shortener [A]
    link_factor: AtLeastOne = (
        12.0  # a first text with a link is filtered so many times as often [S: Hustle, 2018]
    )
    long_factor: AtLeastOne = (
        10.0  # a first text over 160 characters; with a link the larger counts [S: Hustle, 2018]
    )
    missing_opt_out_share: Share = 0.01  # a first text without opt-out wording [A]
    shouting_share: Share = 0.01  # ALL CAPS [A]
    refused_subject_share: Share = 0.05  # sex, hate, alcohol, firearms, tobacco [A]
    many_links_share: Share = 0.01  # more than one link [A]
    identical_share: Share = 0.02  # identical bulk, at its full [A]
    identical_full: Positive = 0.2  # share of texts equal to the one before that counts as full bulk [A]
    opt_out_warn: Share = 0.03  # opt-outs per text and half-life: reported, not yet punished [S]
    opt_out_flag: Share = 0.05  # from here the filter rises [S]
    opt_out_suspend: Share = 0.10  # campaign suspended, 30033 [S]
    opt_out_most_share: Share = 0.30  # added just below suspension [A]
    complaint_healthy: Share = 0.0002  # complaints per text [S]
    complaint_full: Positive = 0.01  # complaints per text that bring the full punishment [A]
    complaint_most_share: Share = 0.60  # "up to 60 %" [A]
    dead_healthy: Share = 0.10  # 30005 and 30006 per text [S: errors below 10 %]
    dead_full: Positive = 0.40  # looks like a bought or washed list [A]
    dead_most_share: Share = 0.10  # [A]
    snowshoe_most_share: Share = 0.40  # twice as many numbers as registered, or more [A]
    number_weight: Share = 0.5  # how much a number's own record counts beside its campaign's [A]
    ceiling_share: Share = 0.95  # never certain [A]
    silent_per_filtered: Share = 0.5  # silently dropped per one dropped with 30007; 0.1 % when healthy [A]
    half_life_s: Positive = 43_200.0  # seconds in which a record fades by half [A]
    campaign_least_texts: Positive = 500.0  # below this much traffic shares are of so many texts [A]
    number_least_texts: Positive = 2_000.0  # one complaint must not ban a number [A]
    sender_memory_s: Positive = 86_400.0  # seconds a number counts as used by the campaign [A]
    suspended_s: Seconds = 86_400.0  # seconds a suspension lasts [A]


class Screened(IntEnum):
    """What the filter does with one text."""

    PASSED = 0
    FILTERED = 1  # 30007 comes back
    SILENT = 2  # reported as delivered, never shown


class Content(msgspec.Struct, frozen=True):
    """The filter's view of a body: added probability as a first text, and as a later one."""

    first_share: float
    later_share: float


class Held(msgspec.Struct, frozen=True):
    """What a campaign's record adds to the chance that a text of its is filtered, by cause."""

    opt_outs: float
    complaints: float
    dead_numbers: float
    identical_texts: float
    too_many_numbers: float

    @property
    def added_share(self) -> float:
        """All causes together."""
        risks = (
            self.opt_outs,
            self.complaints,
            self.dead_numbers,
            self.identical_texts,
            self.too_many_numbers,
        )
        return sum(risks)


class Standing(msgspec.Struct, frozen=True):
    """A campaign's record: shares per recent text, and what follows from them."""

    opt_out_share: float
    complaint_share: float
    dead_share: float
    identical_share: float
    numbers_in_use: int
    added_share: float
    held: Held
    warned: bool
    suspended: bool


class Reputation:
    """Fading counters of one campaign or one number; times in seconds of the world."""

    __slots__ = (
        "at",
        "complaints",
        "dead",
        "identical",
        "last_body",
        "opt_outs",
        "risk",
        "senders",
        "sent",
        "suspended_until",
    )

    def __init__(self, at: float = 0.0) -> None:
        self.at = at
        self.sent = self.opt_outs = self.complaints = self.dead = self.identical = 0.0
        self.risk = 0.0
        self.last_body = ""
        self.senders: dict[int, float] = {}
        self.suspended_until = 0.0

    def fade(self, rate_per_s: float, now: float) -> None:
        """Let every counter decay to `now`."""
        kept = exp(-rate_per_s * (now - self.at))
        self.sent *= kept
        self.opt_outs *= kept
        self.complaints *= kept
        self.dead *= kept
        self.identical *= kept
        self.at = now


class Filtering:
    """Judges texts, and remembers what is said about their campaigns and numbers."""

    def __init__(self, parameters: FilteringParameters) -> None:
        self.parameters = parameters
        self._with_silent = 1 + parameters.silent_per_filtered
        self._fade_per_s = log(2) / parameters.half_life_s
        self._contents: dict[int, Content] = {}
        self._campaigns: dict[int, Reputation] = {}
        self._numbers: dict[int, Reputation] = {}
        self._max_numbers: dict[int, int] = {}

    def register(self, campaign: int, max_numbers: int) -> None:
        """How many numbers a campaign may use."""
        self._max_numbers[campaign] = max_numbers

    def content(self, body: str, body_key: int) -> Content:
        """The content score of a body, remembered by its key."""
        found = self._contents.get(body_key)
        if found is None:
            if len(self._contents) >= _CACHED_BODIES:
                self._contents.clear()
            found = self._contents[body_key] = score(body, self.parameters)
        return found

    def judge(
        self,
        campaign: int,
        sender: int,
        body: str,
        *,
        body_key: int,
        first: bool,
        uniform: float,
        now: float,
        factor: float = 1.0,
    ) -> Screened:
        """The fate of one text; `uniform` in [0, 1) is its luck, `first` whether it is the person's first.

        `factor`: how much stricter this carrier is than the figures say.
        """
        ours = self._record(self._campaigns, campaign, now)
        number = self._record(self._numbers, sender, now)
        ours.sent += 1
        number.sent += 1
        if body == ours.last_body:
            ours.identical += 1
        ours.last_body = body
        known = sender in ours.senders
        ours.senders[sender] = now
        if not known:
            ours.risk = self._campaign_risk(campaign, ours)
        share = self.probability(self.content(body, body_key), ours, number, first=first, factor=factor)
        if uniform < share:
            return Screened.FILTERED
        return Screened.SILENT if uniform < share * self._with_silent else Screened.PASSED

    def probability(
        self,
        content: Content,
        campaign: Reputation,
        number: Reputation,
        *,
        first: bool,
        factor: float = 1.0,
    ) -> float:
        """The chance of 30007: content, campaign and number add up, below the ceiling. Monotone in each."""
        share = content.first_share if first else content.later_share
        share += campaign.risk + number.risk * self.parameters.number_weight
        return min(share * factor, self.parameters.ceiling_share)

    def opt_out(self, campaign: int, number: int, now: float) -> None:
        """A person texted STOP to a number; may suspend the campaign."""
        ours = self._record(self._campaigns, campaign, now)
        ours.opt_outs += 1
        self._record(self._numbers, number, now).opt_outs += 1
        self._reassess(campaign, number)
        rules = self.parameters
        enough = ours.sent >= rules.campaign_least_texts
        if enough and self._share(ours.opt_outs, ours, campaign=True) >= rules.opt_out_suspend:
            ours.suspended_until = now + rules.suspended_s

    def complaint(self, campaign: int, number: int, now: float) -> None:
        """A person reported a text as junk, or forwarded it to 7726."""
        self._record(self._campaigns, campaign, now).complaints += 1
        self._record(self._numbers, number, now).complaints += 1
        self._reassess(campaign, number)

    def dead(self, campaign: int, number: int, now: float) -> None:
        """A text met a landline or a number not in service."""
        self._record(self._campaigns, campaign, now).dead += 1
        self._record(self._numbers, number, now).dead += 1

    def suspended(self, campaign: int, now: float) -> bool:
        """Whether the campaign is suspended (30033)."""
        ours = self._campaigns.get(campaign)
        return ours is not None and now < ours.suspended_until

    def standing(self, campaign: int, now: float) -> Standing:
        """The campaign's record as a carrier's reputation page would show it; looking changes nothing."""
        ours = self._as_of(campaign, now)
        opt_out_share = self._share(ours.opt_outs, ours, campaign=True)
        held = Held(*self._risks(ours, campaign=True), *self._campaign_risks(campaign, ours))
        return Standing(
            opt_out_share=opt_out_share,
            complaint_share=self._share(ours.complaints, ours, campaign=True),
            dead_share=self._share(ours.dead, ours, campaign=True),
            identical_share=self._share(ours.identical, ours, campaign=True),
            numbers_in_use=self._in_use(ours),
            added_share=held.added_share,
            held=held,
            warned=opt_out_share > self.parameters.opt_out_warn,
            suspended=now < ours.suspended_until,
        )

    def _as_of(self, campaign: int, now: float) -> Reputation:
        """A copy of a campaign's record, faded to `now`."""
        found = copy(self._campaigns.get(campaign, Reputation(now)))
        found.senders = dict(found.senders)
        found.fade(self._fade_per_s, now)
        return found

    def _record(self, records: dict[int, Reputation], key: int, now: float) -> Reputation:
        """A record, faded to within a minute of `now`."""
        found = records.get(key)
        if found is None:
            found = records[key] = Reputation(now)
        elif now - found.at >= _TICK_S:
            found.fade(self._fade_per_s, now)
            campaign = records is self._campaigns
            found.risk = self._campaign_risk(key, found) if campaign else self._risk(found, campaign=False)
        return found

    def _reassess(self, campaign: int, number: int) -> None:
        self._campaigns[campaign].risk = self._campaign_risk(campaign, self._campaigns[campaign])
        self._numbers[number].risk = self._risk(self._numbers[number], campaign=False)

    def _share(self, bad: float, record: Reputation, *, campaign: bool) -> float:
        """Bad events per text; little traffic counts as a little more, so that one STOP is no scandal."""
        rules = self.parameters
        least = rules.campaign_least_texts if campaign else rules.number_least_texts
        return bad / max(record.sent, least)

    def _risk(self, record: Reputation, *, campaign: bool) -> float:
        return sum(self._risks(record, campaign=campaign))

    def _risks(self, record: Reputation, *, campaign: bool) -> tuple[float, float, float]:
        """For opt-outs, complaints and dead numbers."""
        rules = self.parameters
        opt_outs = self._share(record.opt_outs, record, campaign=campaign)
        complaints = self._share(record.complaints, record, campaign=campaign)
        dead = self._share(record.dead, record, campaign=campaign)
        return (
            rules.opt_out_most_share * _ramp(opt_outs, rules.opt_out_flag, rules.opt_out_suspend),
            rules.complaint_most_share * _ramp(complaints, rules.complaint_healthy, rules.complaint_full),
            rules.dead_most_share * _ramp(dead, rules.dead_healthy, rules.dead_full),
        )

    def _campaign_risk(self, campaign: int, record: Reputation) -> float:
        identical, too_many = self._campaign_risks(campaign, record)
        return self._risk(record, campaign=True) + identical + too_many

    def _campaign_risks(self, campaign: int, record: Reputation) -> tuple[float, float]:
        """For identical texts and for more numbers than are allowed."""
        rules = self.parameters
        identical = self._share(record.identical, record, campaign=True)
        allowed = self._max_numbers.get(campaign, _NUMBERS_ALLOWED)
        over = (self._in_use(record) - allowed) / max(allowed, 1)
        return (
            rules.identical_share * _ramp(identical, 0.0, rules.identical_full),
            rules.snowshoe_most_share * _ramp(over, 0.0, 1.0),
        )

    def _in_use(self, record: Reputation) -> int:
        """Distinct numbers that lately sent for a campaign; the idle are forgotten."""
        oldest = record.at - self.parameters.sender_memory_s
        for idle in [number for number, at in record.senders.items() if at < oldest]:
            del record.senders[idle]
        return len(record.senders)


def score(body: str, rules: FilteringParameters) -> Content:
    """What a body alone adds to the probability of being filtered."""
    share = rules.base_share
    if _SHORTENER.search(body):
        share += rules.shortener_share
    if _SHAFT.search(body):
        share += rules.refused_subject_share
    if len(_LINK.findall(body)) > 1:
        share += rules.many_links_share
    if _shouts(body):
        share += rules.shouting_share
    missing = 0.0 if _OPT_OUT.search(body) else rules.missing_opt_out_share
    return Content(first_share=share + missing + _bare_share(body, rules), later_share=share)


def _bare_share(body: str, rules: FilteringParameters) -> float:
    """What a link or length adds to a first text, which nobody asked for: times as much as without."""
    factor = rules.long_factor if len(body) > _LONG else 1.0
    if _LINK.search(body) or _SHORTENER.search(body):
        factor = max(factor, rules.link_factor)
    return (factor - 1) * rules.base_share


def _shouts(body: str) -> bool:
    """Whether most words are in capitals; a word or two may be (STOP, names of parties)."""
    words = _WORD.findall(body)
    return len(words) >= 4 and 2 * sum(word.isupper() for word in words) > len(words)


def _ramp(value: float, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high` on, straight between."""
    if value <= low:
        return 0.0
    return 1.0 if value >= high else (value - low) / (high - low)
