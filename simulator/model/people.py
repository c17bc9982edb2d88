"""What the people do with a text: most nothing, some answer, some ask to be left alone.

What a person will do is fixed by (seed, phone, nth text), before anything is sent, so that pool size, pace and
order of events change nobody's mind. Sources: us-carrier surveys of political texting; [S] and [A] as marked.
"""

from bisect import bisect_right
from collections.abc import Callable
from enum import IntEnum
from itertools import accumulate
from math import log
from statistics import NormalDist
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray
from simpy import Environment, Event

from simulator.model.carriers import Positive, Share
from simulator.model.draws import Draws, Lognormal
from simulator.model.population import Population
from simulator.model.replies import TEXTS, Intent


class Reaction(IntEnum):
    """What a person does about a text. The lowest code is by far the most common."""

    NOTHING = 0
    REPLIES = 1
    LEAVES_BY_KEYWORD = 2
    LEAVES_IN_OWN_WORDS = 3
    HOSTILE_BY_KEYWORD = 4
    HOSTILE_IN_OWN_WORDS = 5
    WRONG_NUMBER = 6


_COMPLAINS = 64  # added to a plan: the person reports the text as junk
_TEXTED, _REPLIED, _LEFT = 1, 2, 3  # what a person has been through; 0 is never texted


class PeopleParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How people react. Shares are of first texts shown on a handset unless said otherwise."""

    reply_share: Share = 0.07  # conversational replies, 5-8 % [S]; 3-20 % by audience [A]
    support_share: Share = 0.38  # of conversational replies; the next four likewise [A]
    against_share: Share = 0.17
    undecided_share: Share = 0.14
    question_share: Share = 0.14
    voted_share: Share = 0.17
    opt_out_share: Share = 0.03  # ask to be left alone [S]
    hostile_share: Share = 0.016  # the same with abuse [S]
    keyword_share: Share = 0.75  # of both: with a bare keyword; the rest in their own words [A]
    wrong_number_reply_share: Share = 0.4  # of people with a reassigned number: 1.2 % of all, 1-2 % seen [A]
    complaint_share: Share = 0.0001  # report the text as junk: half of what is still healthy, 0.02 % [S]
    reply_median_s: Positive = 240.0  # 4 min [A]
    reply_within_hour_share: Annotated[float, Meta(gt=0.5, lt=1)] = 0.8  # [A]
    reply_longest_s: Positive = 86_400.0  # nobody answers later than a day [A]
    reply_shortest_s: Positive = 5.0  # time to read and type [A]
    second_reply_share: Share = 0.45  # of people who get an answer to their reply [A]
    further_reply_factor: Share = 0.6  # each further reply is that much rarer [A]
    second_reply_median_s: Positive = 120.0  # [A]
    second_reply_p99_s: Positive = 3600.0  # [A]
    second_thoughts_share: Share = (
        0.01  # of people who reply: send a keyword a while later, answered or not [A]
    )
    leave_after_answer_share: Share = 0.02  # of people who get an answer: send a keyword [A]
    cold_factor: Share = (
        0.5  # who ignored the last text reacts to the next at this share of the first rate [A]
    )
    start_again_share: Share = 0.01  # of those who left by keyword: send START an hour later (C5) [A]
    anger_share: Share = 0.5  # of texts after an opt-out: answered with abuse [A]
    anger_complaint_share: Share = 0.1  # of texts after an opt-out: reported as junk [A]
    spanish_share: Share = 0.12  # of people: write in Spanish [A]

    def __post_init__(self) -> None:
        if self.reply_share + self.opt_out_share + self.hostile_share > 1:
            raise ValueError("reply_share, opt_out_share and hostile_share sum to more than 1")
        intents = self.support_share + self.against_share + self.undecided_share
        if abs(intents + self.question_share + self.voted_share - 1) > 0.001:
            raise ValueError("support, against, undecided, question and voted shares do not sum to 1")
        if self.reply_median_s >= 3600:
            raise ValueError("reply_median_s is not below 3600: more than half reply within the hour")


class OptOuts(msgspec.Struct):
    """How many people asked to be left alone, by how they said it."""

    keyword: int = 0
    own_words: int = 0
    wrong_number: int = 0


class _Reply(NamedTuple):
    person: int
    phone: int
    to: int
    intent: Intent
    nth: int


class People:
    """The recipients: told what reaches their handsets, they text back through `send(phone, to, body)`.

    `complain(phone, number)` is called when somebody reports one of our numbers as junk; `stop_wave_share(now)`
    is the further share of people who answer STOP at that moment. Counters are public; `left_at[index]` is when a person asked to be left alone, in seconds since the start of the world.
    """

    def __init__(
        self,
        env: Environment,
        parameters: PeopleParameters,
        population: Population,
        draws: Draws,
        *,
        send: Callable[[int, int, str], None],
        complain: Callable[[int, int], None] | None = None,
        stop_wave_share: Callable[[float], float] | None = None,
    ) -> None:
        self._env = env
        self._parameters = parameters
        self._population = population
        self._send = send
        self._complain = complain
        self._stop_wave_share = stop_wave_share
        self._draw_streams(draws)
        self._limits = _plan_limits(parameters)
        self._intents = _reply_intents(parameters)
        self._reply_s, self._reply_reach = _reply_delay(parameters)
        self._second_reply_s = Lognormal(parameters.second_reply_median_s, parameters.second_reply_p99_s)
        self._plans = self._first_plans().tobytes()
        self._state = bytearray(len(population))
        self._texts = bytearray(len(population))
        self.opt_outs = OptOuts()
        self.texts_after_opt_out = 0
        self.replies = 0
        self.complaints = 0
        self.left_at: dict[int, float] = {}

    def _draw_streams(self, draws: Draws) -> None:
        self._plan_luck = draws.stream("people/plan")
        self._complaint_luck = draws.stream("people/complaint")
        self._wrong_number_luck = draws.stream("people/wrong number")
        self._delay_luck = draws.stream("people/delay")
        self._text_luck = draws.stream("people/text")
        self._intent_luck = draws.stream("people/intent")
        self._spanish_luck = draws.stream("people/spanish")
        self._second_thoughts_luck = draws.stream("people/second thoughts")
        self._start_luck = draws.stream("people/start again")
        self._anger_luck = draws.stream("people/anger")
        self._wave_luck = draws.stream("people/stop wave")

    def __repr__(self) -> str:
        return (
            f"People({len(self._plans):,}: {self.replies:,} texts back, {self.opt_outs.keyword:,} left by keyword, "
            f"{self.opt_outs.own_words:,} in their own words)"
        )

    def first_plan(self, index: int) -> Reaction:
        """What this person does about the first text."""
        return Reaction(self._plans[index] & ~_COMPLAINS)

    def _first_plans(self) -> NDArray[np.uint8]:
        """Everybody's plan for the first text, at once: one byte each."""
        phones = self._population.phones
        plans = np.searchsorted(self._limits, self._plan_luck.many(phones), side="right").astype(np.uint8)
        speaks_up = self._wrong_number_luck.many(phones) < self._parameters.wrong_number_reply_share
        plans[self._population.reassigned & speaks_up] = Reaction.WRONG_NUMBER
        plans[self._complaint_luck.many(phones) < self._parameters.complaint_share] += _COMPLAINS
        return plans

    def received(self, index: int, phone: int, sender: int, body: str, nth: int, at: float) -> None:
        """A text was shown on the handset of person `index`; -1 is nobody of this population."""
        if index < 0 or (self._stop_wave_share is not None and self._swept_away(index, phone, sender)):
            return
        if self._state[index]:
            self._received_again(index, phone, sender)
            return
        self._state[index] = _TEXTED
        plan = self._plans[index]
        if plan:
            self._carry_out(plan, index, phone, sender, 0)

    def _swept_away(self, index: int, phone: int, sender: int) -> bool:
        """A wave of STOPs (faults.stop_wave_share): who is caught forgets every other plan."""
        share = self._stop_wave_share(self._env.now) if self._stop_wave_share is not None else 0.0
        if not share or self._state[index] == _LEFT or self._wave_luck(phone, self._texts[index]) >= share:
            return False
        nth = self._texts[index] = min(self._texts[index] + 1, 255)
        self._state[index] = max(self._state[index], _TEXTED)
        self._later(self._second_delay_s(phone, nth), _Reply(index, phone, sender, Intent.KEYWORD, nth))
        return True

    def _received_again(self, index: int, phone: int, sender: int) -> None:
        """A later text: react by what went before."""
        nth = self._texts[index] = min(self._texts[index] + 1, 255)
        luck = self._plan_luck(phone, nth)
        state = self._state[index]
        if state == _LEFT:
            self._react_in_anger(index, phone, sender, nth)
        elif state == _REPLIED:
            self._react_to_answer(index, phone, sender, nth, luck)
        elif luck < self._parameters.cold_factor:
            plan = bisect_right(self._limits, luck / self._parameters.cold_factor)
            self._carry_out(plan, index, phone, sender, nth)

    def _carry_out(self, plan: int, index: int, phone: int, sender: int, nth: int) -> None:
        if plan & _COMPLAINS:
            self._report_junk(phone, sender)
        match plan & ~_COMPLAINS:
            case Reaction.REPLIES:
                intent = self._intents[int(self._intent_luck(phone, nth) * len(self._intents))]
            case Reaction.LEAVES_BY_KEYWORD | Reaction.HOSTILE_BY_KEYWORD:
                intent = Intent.KEYWORD
            case Reaction.LEAVES_IN_OWN_WORDS:
                intent = Intent.LEAVES
            case Reaction.HOSTILE_IN_OWN_WORDS:
                intent = Intent.ABUSE
            case Reaction.WRONG_NUMBER:
                intent = Intent.WRONG_NUMBER
            case _:
                return
        delay_s = self._first_delay_s(phone, nth)
        self._later(delay_s, _Reply(index, phone, sender, intent, nth))
        if plan & ~_COMPLAINS == Reaction.REPLIES:
            self._perhaps_think_again(delay_s, _Reply(index, phone, sender, Intent.KEYWORD, nth))
        if plan & ~_COMPLAINS == Reaction.HOSTILE_BY_KEYWORD:  # STOP, and then what they think of us (F125)
            self._later(delay_s + 10.0, _Reply(index, phone, sender, Intent.ABUSE, nth))

    def _perhaps_think_again(self, delay_s: float, keyword: _Reply) -> None:
        """A few who reply want no more after all, whether somebody has answered them or not."""
        if self._second_thoughts_luck(keyword.phone, keyword.nth) < self._parameters.second_thoughts_share:
            self._later(delay_s + self._second_delay_s(keyword.phone, keyword.nth), keyword)

    def _react_to_answer(self, index: int, phone: int, sender: int, nth: int, luck: float) -> None:
        """Somebody who replied got an answer: reply again, less and less often, or have enough."""
        parameters = self._parameters
        again = parameters.second_reply_share * parameters.further_reply_factor ** (nth - 1)
        if luck < again:
            intent = Intent.THANKS if luck < again / 2 else Intent.QUESTION
        elif luck >= 1 - parameters.leave_after_answer_share:
            intent = Intent.KEYWORD
        else:
            return
        self._later(self._second_delay_s(phone, nth), _Reply(index, phone, sender, intent, nth))

    def _react_in_anger(self, index: int, phone: int, sender: int, nth: int) -> None:
        """A text after the opt-out: never all right, whoever is to blame."""
        self.texts_after_opt_out += 1
        luck = self._anger_luck(phone, nth)
        if luck < self._parameters.anger_complaint_share:
            self._report_junk(phone, sender)
        if luck >= 1 - self._parameters.anger_share:
            self._later(self._second_delay_s(phone, nth), _Reply(index, phone, sender, Intent.ABUSE, nth))

    def _first_delay_s(self, phone: int, nth: int) -> float:
        delay_s = self._reply_s.at(self._delay_luck(phone, nth) * self._reply_reach)
        return min(max(self._parameters.reply_shortest_s, delay_s), self._parameters.reply_longest_s)

    def _second_delay_s(self, phone: int, nth: int) -> float:
        delay_s = self._second_reply_s.at(self._delay_luck(phone, nth))
        return max(self._parameters.reply_shortest_s, delay_s)

    def _later(self, delay_s: float, reply: _Reply) -> None:
        due = self._env.timeout(delay_s, reply)
        due.callbacks.append(self._text_back)

    def _text_back(self, due: Event) -> None:
        reply: Any = due.value
        self._remember(reply)
        self.replies += 1
        self._send(reply.phone, reply.to, self._words(reply))

    def _words(self, reply: _Reply) -> str:
        """One of the texts for the intent, in the person's language."""
        spanish = self._spanish_luck(reply.phone) < self._parameters.spanish_share
        texts = TEXTS[reply.intent][spanish]
        return texts[int(self._text_luck(reply.phone, reply.nth) * len(texts))]

    def _remember(self, reply: _Reply) -> None:
        """What this text makes of the person."""
        state = self._state[reply.person]
        if reply.intent is Intent.START:
            self._state[reply.person] = _REPLIED
            self.left_at.pop(reply.person, None)
        elif state == _LEFT:
            return
        elif reply.intent in _LEAVING:
            self._leave(reply)
        else:
            self._state[reply.person] = _REPLIED

    def _leave(self, reply: _Reply) -> None:
        self._state[reply.person] = _LEFT
        self.left_at[reply.person] = self._env.now
        if reply.intent is Intent.WRONG_NUMBER:
            self.opt_outs.wrong_number += 1
        elif reply.intent is not Intent.KEYWORD:
            self.opt_outs.own_words += 1
        else:
            self.opt_outs.keyword += 1
            self._perhaps_start_again(reply)

    def _perhaps_start_again(self, reply: _Reply) -> None:
        """A few change their minds: START an hour later (C5)."""
        if self._start_luck(reply.phone) < self._parameters.start_again_share:
            self._later(3600.0, reply._replace(intent=Intent.START))

    def _report_junk(self, phone: int, number: int) -> None:
        self.complaints += 1
        if self._complain is not None:
            self._complain(phone, number)


_LEAVING = frozenset({Intent.KEYWORD, Intent.LEAVES, Intent.ABUSE, Intent.WRONG_NUMBER})


def _plan_limits(parameters: PeopleParameters) -> list[float]:
    """Where in [0, 1) one plan ends and the next begins; the remainder wraps round to doing nothing."""
    leave, hostile, keyword = parameters.opt_out_share, parameters.hostile_share, parameters.keyword_share
    shares = (
        parameters.reply_share,
        leave * keyword,
        leave * (1 - keyword),
        hostile * keyword,
        hostile * (1 - keyword),
    )
    return list(accumulate(shares, initial=max(0.0, 1 - sum(shares))))[:-1]


def _reply_intents(parameters: PeopleParameters) -> tuple[Intent, ...]:
    """A thousand intents in proportion, to be picked from by one draw."""
    shares = {
        Intent.SUPPORTS: parameters.support_share,
        Intent.AGAINST: parameters.against_share,
        Intent.UNDECIDED: parameters.undecided_share,
        Intent.QUESTION: parameters.question_share,
        Intent.VOTED: parameters.voted_share,
    }
    return tuple(intent for intent, share in shares.items() for _ in range(round(1000 * share)))


def _reply_delay(parameters: PeopleParameters) -> tuple[Lognormal, float]:
    """The lognormal through the median and the one-hour share, and the quantile of the longest delay."""
    normal = NormalDist()
    sigma = log(3600 / parameters.reply_median_s) / normal.inv_cdf(parameters.reply_within_hour_share)
    p99_s = parameters.reply_median_s * float(np.exp(sigma * normal.inv_cdf(0.99)))
    reach = normal.cdf(log(parameters.reply_longest_s / parameters.reply_median_s) / sigma)
    return Lognormal(parameters.reply_median_s, p99_s), reach
