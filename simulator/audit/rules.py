"""Every rule that the auditor judges, in one table: a new rule joins with one entry.

The names are those of `--json`; the sentences and the chances go to the terminal, the report and the docs.
"""

from collections.abc import Callable

import msgspec

from simulator.audit.bill import judge_costs
from simulator.audit.blocks import judge_blocks
from simulator.audit.breakers import judge_breakers
from simulator.audit.consent import judge_consent
from simulator.audit.evidence import Evidence, Judged
from simulator.audit.first_texts import judge_first_texts
from simulator.audit.hours import judge_hours
from simulator.audit.idle import judge_idle, judge_pressed
from simulator.audit.lives import judge_accepted_once, judge_balance, judge_moves, judge_stored
from simulator.audit.opt_outs import judge_opt_outs
from simulator.audit.persons import judge_claims, judge_inbound, judge_numbers
from simulator.audit.purchases import judge_area_codes, judge_purchases
from simulator.audit.rates import judge_rates
from simulator.audit.screens import judge_screens
from simulator.audit.told_results import judge_results
from simulator.audit.words import judge_words


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule: its sentence, what counts as one chance to break it, and who judges it."""

    name: str
    sentence: str
    chance: str
    judge: Callable[[Evidence], Judged]


RULES: tuple[Rule, ...] = (
    Rule(
        name="no_text_after_opt_out",
        sentence="Nobody was texted after opting out",
        chance="a text that was asked for after its person's opt-out, or waited when that came",
        judge=judge_opt_outs,
    ),
    Rule(
        name="lawful_hours",
        sentence="Nobody was texted outside lawful hours or the campaign's own",
        chance="a text whose window was shut when the bank began, shut while it waited, or had an edge within ten "
        "minutes of its request or its hand-over",
        judge=judge_hours,
    ),
    Rule(
        name="accepted_once",
        sentence="No message went to a carrier twice",
        chance="a call that the provider carried out and whose answer was lost, or a further attempt",
        judge=judge_accepted_once,
    ),
    Rule(
        name="books_balance",
        sentence="Every request ended, waits, or says why not",
        chance="a request that was acknowledged to a client",
        judge=judge_balance,
    ),
    Rule(
        name="accepted_is_stored",
        sentence="Whatever a carrier accepted is in our books",
        chance="a text that the provider took",
        judge=judge_stored,
    ),
    Rule(
        name="one_number_a_contact",
        sentence="Each person saw one number, until it was retired",
        chance="a further text to a person, when the campaign had more than one number",
        judge=judge_numbers,
    ),
    Rule(
        name="rates_and_caps",
        sentence="No rate and no daily cap was passed",
        chance="a text that was asked for when more were than a rate allows in a second or a minute, or that found "
        "nine tenths of T-Mobile's day used",
        judge=judge_rates,
    ),
    Rule(
        name="legal_moves",
        sentence="Every message moved as the rules of its life allow",
        chance="a receipt that came twice, late or out of order, a lost answer, or a further attempt",
        judge=judge_moves,
    ),
    Rule(
        name="inbound_once",
        sentence="Each text from a person came in once, in its conversation, also where its webhook got lost",
        chance="a text from a person that the gateway was told of, or should have fetched",
        judge=judge_inbound,
    ),
    Rule(
        name="one_volunteer_a_contact",
        sentence="No two volunteers had the same person, and nobody was kept from all of them",
        chance="a contact who was given to a volunteer within five seconds of another volunteer's, or whom another "
        "volunteer had before",
        judge=judge_claims,
    ),
    Rule(
        name="consent_kept",
        sentence="The list of opt-outs is what people asked for, and nobody whom the contact list marks was texted",
        chance="a STOP or a START, a person whom a volunteer or the contact list marked as opted out",
        judge=judge_consent,
    ),
    Rule(
        name="right_words",
        sentence="Each text was its script with its person's names, and somebody had pressed it for this person",
        chance="a text on the wire of which the model knows the words",
        judge=judge_words,
    ),
    Rule(
        name="replies_shown",
        sentence="Each reply was on a volunteer's screen at the first look that should have shown it, and none was forgotten",
        chance="a reply after which a volunteer looked who should have seen it",
        judge=judge_screens,
    ),
    Rule(
        name="presses_sent",
        sentence="Each press of Send that was let through came on the wire while it could",
        chance="a press of Send that was let through, or ended in an error",
        judge=judge_pressed,
    ),
    Rule(
        name="nothing_idles",
        sentence="No text waited while its hours, its rates and its numbers were free, or behind those that may wait",
        chance="a text that was asked for when its rates and numbers had room, or that waited for two minutes",
        judge=judge_idle,
    ),
    Rule(
        name="filtered_scripts_stopped",
        sentence="A script that a carrier plainly filtered went to that carrier no more, nobody got another script without "
        "that, and no number of which everything was filtered began conversations",
        chance="a first text of one of several scripts, or one pressed when its carrier plainly filtered its script; a "
        "number of which everything was plainly filtered",
        judge=judge_breakers,
    ),
    Rule(
        name="one_first_text",
        sentence="Nobody got a second first text, the same words twice, or anything that a code or a look-up forbids",
        chance="a text that was asked for after another one to somebody who had not written, or while a code forbade it",
        judge=judge_first_texts,
    ),
    Rule(
        name="blocked_for_a_reason",
        sentence="Whatever was blocked was blocked for a reason that there was",
        chance="a text that was blocked",
        judge=judge_blocks,
    ),
    Rule(
        name="numbers_needed",
        sentence="Numbers were bought for a reason, no more than the pool may have, and none was forgotten",
        chance="a purchase of a number",
        judge=judge_purchases,
    ),
    Rule(
        name="wished_area_codes",
        sentence="Numbers were bought in a wished area code while it had any",
        chance="a number bought for a campaign that wishes for area codes",
        judge=judge_area_codes,
    ),
    Rule(
        name="costs_told",
        sentence="What the gateway says its texts cost is what is billed for them",
        chance="a text that is billed and of which the gateway was asked what it cost",
        judge=judge_costs,
    ),
    Rule(
        name="results_told",
        sentence="What the results of an action tell is what happened",
        chance="a text, or an answer of a person, that the results count",
        judge=judge_results,
    ),
)
"""In the order of the design; all are judged in every rehearsal."""
