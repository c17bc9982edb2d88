"""A picture as lines of at most 60 columns, in ASCII; a line may be good, worth a look, or bad."""

from typing import Final, Literal, NamedTuple

from gateway.top.picture import LanePicture, Picture, ResourcePicture, WorkerPicture

WIDTH: Final = 60
FULL, NEARLY = 0.9, 0.66
_BAR: Final = 20
_NAME: Final = 22
_SLOW_LOOP_S: Final = 0.1
_REPLY_WAITS_S: Final = 30.0  # as the alert ReplyLaneStarved has it

Tone = Literal["title", "plain", "look", "bad"]


class Line(NamedTuple):
    """Its tone is a colour where there are colours."""

    text: str
    tone: Tone = "plain"


def lines(shown: Picture, *, at: str = "") -> list[Line]:
    """`at`: what the clock says."""
    up = sum(worker.is_up for worker in shown.workers)
    head = f"textbank top   {_count(up, 'worker')}   {_count(shown.campaigns, 'campaign')}"
    found = [Line(f"{head}{at:>{max(1, WIDTH - len(head))}}", "title"), *_rates(shown)]
    found += [Line(""), Line("lane        waits segments   oldest empty in  p99 wait  sent/s", "title")]
    found += [_lane(lane) for lane in shown.lanes]
    found += [Line(""), *_provider(shown), Line(""), Line("how full", "title")]
    found += [_resource(each) for each in shown.resources]
    found += [Line(""), Line("worker                    cpu  memory loop p99  database", "title")]
    found += [_worker(worker) for worker in shown.workers]
    found += _wrong(shown)
    return [Line(line.text[:WIDTH].rstrip(), line.tone) for line in found]


def _rates(shown: Picture) -> list[Line]:
    told = (
        ("requests", shown.requests_per_s),
        ("accepted", shown.accepted_per_s),
        ("sent", shown.sent_per_s),
        ("blocked", shown.blocked_per_s),
        ("delivered", shown.delivered_per_s),
        ("failed", shown.failed_per_s),
        ("inbound", shown.inbound_per_s),
        ("opt-outs", shown.opt_outs_per_s),
    )
    cells = [f"{name:<10}{_number(rate)}/s".ljust(20) for name, rate in told]
    people = f"{shown.people_waiting} wait for an answer, {_count(shown.volunteers, 'volunteer')}, {shown.contacts_remaining} to text"
    return [*(Line("".join(cells[at : at + 3])) for at in range(0, len(cells), 3)), Line(people)]


def _lane(lane: LanePicture) -> Line:
    waits = "-" if lane.wait_p99_s is None else _time(lane.wait_p99_s)
    empty = "-" if not lane.messages else _time(lane.drain_s)
    oldest = "-" if not lane.messages else _time(lane.oldest_s)
    text = f"{lane.lane:<8}{lane.messages:>9}{lane.segments:>9}{oldest:>9}{empty:>9}{waits:>9}{_number(lane.sent_per_s):>7}"
    is_late = lane.lane == "reply" and lane.messages and lane.oldest_s > _REPLY_WAITS_S
    return Line(text, "bad" if is_late else "plain")


def _provider(shown: Picture) -> list[Line]:
    told = shown.provider
    share = "-" if told.bad_share is None else f"{told.bad_share * 100:.1f} %"
    p50, p99 = ("-" if each is None else _time(each) for each in (told.p50_s, told.p99_s))
    text = f"provider  {_number(told.calls_per_s)} calls/s  p50 {p50}  p99 {p99}  not taken {share}"
    is_bad = told.bad_share is not None and told.bad_share > 0.05
    found = [Line(text, "bad" if is_bad else "plain")]
    if others := {name: n for name, n in told.outcomes.items() if n and name != "ok"}:
        found.append(Line("          " + ", ".join(f"{n} {name}" for name, n in others.items()), "look"))
    return found


def _resource(each: ResourcePicture) -> Line:
    filled = min(_BAR, round(each.used * _BAR))
    bar = "#" * filled + "." * (_BAR - filled)
    tone: Tone = "bad" if each.used >= FULL else "look" if each.used >= NEARLY else "plain"
    return Line(f"{each.resource:<22}[{bar}]{each.used * 100:>7.1f} %", tone)


def _worker(worker: WorkerPicture) -> Line:
    name = worker.url.partition("://")[2][-_NAME:]  # its end tells workers of a machine apart
    if not worker.is_up:
        return Line(f"{name:<22} {worker.why}", "bad")
    lag = "-" if worker.loop_lag_p99_s is None else _time(worker.loop_lag_p99_s)
    away = "there" if not worker.database_away_s else f"away {_time(worker.database_away_s)}"
    text = f"{name:<22}{worker.cpu * 100:>6.0f} %{worker.memory_bytes / 2**20:>6.0f} M{lag:>9}  {away}"
    is_slow = worker.loop_lag_p99_s is not None and worker.loop_lag_p99_s > _SLOW_LOOP_S
    return Line(text, "bad" if worker.database_away_s else "look" if is_slow else "plain")


def _wrong(shown: Picture) -> list[Line]:
    """What must not be; nothing, when all is well."""
    found = []
    if shown.broken_promises:
        found.append(Line(f"{_count(shown.broken_promises, 'broken promise')}: see the log", "bad"))
    if shown.campaigns_without_worker:
        found.append(Line(f"{_count(shown.campaigns_without_worker, 'campaign')} without a worker", "bad"))
    if shown.stuck:
        found.append(Line(f"{_count(shown.stuck, 'message')} stuck", "look"))
    if len({worker.settings for worker in shown.workers if worker.is_up}) > 1:
        found.append(Line("workers run with different settings", "look"))
    return found


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _number(value: float) -> str:
    return f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def _time(seconds: float) -> str:
    """In five characters and a bit: 12ms, 1.5s, 3m20s, 2h05m, 3d04h."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, left_s = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{left_s:02}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours < 48 else f"{hours // 24}d{hours % 24:02}h"
