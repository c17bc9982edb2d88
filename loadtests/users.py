"""Who uses the gateway: volunteers who think between their clicks, and an admin who watches. Closed, as people are.

When a volunteer comes is open: the instant is drawn before the run, and nobody waits for those before. Volunteers do what the tutorial does: join by the code, start, send each text by its hash, look into the inbox, answer by
the prepared response, report, and text the next bucket. Requests are named by their route, ids left out.
"""

import contextlib
from typing import Any, Final

import gevent
from gevent.event import Event
from geventhttpclient import HTTPClient
from locust import FastHttpUser, poisson, task
from locust.exception import StopUser

from loadtests.arrivals import Arrivals
from loadtests.asking import BROKEN
from loadtests.plan import Plan

_LOOKS_EVERY: Final = 5
_STARTS_AGAIN_AFTER: Final = 10
"""Clicks, for whom nobody was left who is not on somebody's screen: they may be given back."""
_PASSWORD: Final = "another long one"  # noqa: S105 - of people who exist for a minute
_GOOD: Final = range(200, 300)
_CHANGED: Final = 409
_NOT_NOW: Final = 503
_QUIET_S: Final = 60.0
"""A stream says each quarter of a minute that it lives."""


class Tally:
    """Of one process: whose texts were acknowledged, who could not join, and who has nothing left to do.

    `streamed`: events that the admin's stream told.
    """

    def __init__(self) -> None:
        self.acknowledged: list[int] = []
        self.idle: set[int] = set()
        self.turned_away = 0
        self.streamed = 0

    def acknowledge(self, result: Any) -> None:
        """A result of the API: what is blocked was never to be sent."""
        if result.get("message_id") and result.get("state") != "blocked":
            self.acknowledged.append(result["message_id"])


class Caller(FastHttpUser):
    """One person's requests. `plan` and `tally` are set before Locust starts anybody, `arrivals` when `drawn` is set."""

    abstract = True
    max_redirects = 0
    plan: Plan
    tally: Tally
    arrivals: Arrivals
    drawn = Event()

    def on_start(self) -> None:
        self.client.client.redirect_response_codes = frozenset()  # type: ignore[misc]
        self.campaign = f"/v1/campaigns/{self.plan.campaign_id}"
        self.action = f"{self.campaign}/actions/{self.plan.action_id}"
        self.token = ""
        self.status = 0

    def ask(
        self,
        method: str,
        path: str,
        name: str,
        body: Any = None,
        *,
        key: str = "",
        fine: tuple[int, ...] = (),
    ) -> Any:
        """The answer's JSON; None for what is not 2xx, whose status is kept. What is `fine` is no failure either."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if key:
            headers["Idempotency-Key"] = key
        with self.client.request(
            method, path, name=f"{method} {name}", json=body, headers=headers, catch_response=True
        ) as answer:
            self.status = answer.status_code
            if answer.status_code in _GOOD:
                return answer.json()
            if answer.status_code in fine:
                answer.success()
            else:
                answer.failure(f"{answer.status_code}: {(answer.text or '')[:200]}")
            return None


class Volunteer(Caller):
    """Texts bucket after bucket, and answers who has written meanwhile."""

    joined = 0

    def wait_time(self) -> float:
        return float(poisson(1 / self.plan.size.think_s)(self))

    def on_start(self) -> None:
        super().on_start()
        self.rows: list[Any] = []
        self.bucket_id: int | None = None
        self.clicks = self.starts_at = 0
        self.nobody = False
        self.drawn.wait()
        self.arrivals.arrive(self._join)
        if not self.token:
            self.tally.turned_away += 1
            raise StopUser

    def _join(self) -> bool:
        Volunteer.joined += 1
        word = f"{id(self.environment.runner):x}-{Volunteer.joined}-{self.environment.runner.client_id[-12:]}"
        new = {
            "name": "Bo Hill",
            "email": f"{word}@example.org",
            "password": _PASSWORD,
            "carrier": "bearer",
        }
        done = self.ask("POST", "/v1/join", "/v1/join", {"code": self.plan.code, "sign_up": new})
        if done is None:
            return False
        self.me: int = done["user_id"]
        self.token = done["session"]["token"]
        return self.ask("GET", f"{self.campaign}/actions", "actions") is not None

    @task
    def click(self) -> None:
        self.clicks += 1
        if self.clicks % _LOOKS_EVERY == 0 or not (self.rows or self._start()):
            self._look()
        else:
            self._send(self.rows.pop(0))

    def _start(self) -> bool:
        """The first bucket, or the next (text again)."""
        if self.nobody or self.clicks < self.starts_at:
            return False
        body = {} if self.bucket_id is None else {"after": self.bucket_id}
        bucket = self.ask("POST", f"{self.action}/buckets", "buckets", body)
        if bucket is None:
            return False
        self.bucket_id = bucket["bucket_id"] or self.bucket_id
        self.rows = bucket["rows"]
        if not self.rows:
            self.starts_at = self.clicks + _STARTS_AGAIN_AFTER
        if not self.rows and bucket["left"] and bucket["left"]["nobody"]:
            self.nobody = True
            self.tally.idle.add(self.me)
        return bool(self.rows)

    def _send(self, row: Any) -> None:
        press = {name: row[name] for name in ("contact_id", "variant", "hash")}
        key = f"press-{row['contact_id']}"
        self._acknowledged(self.ask("POST", f"{self.action}/sends", "sends", press, key=key))
        if self.status in (0, _NOT_NOW):
            self.rows.append(row)  # pressed again later; the key says that it is the same press

    def _look(self) -> None:
        page = self.ask(
            "GET", f"{self.campaign}/conversations?filter=needs_attention&limit=5", "conversations"
        )
        for conversation in (page or {"conversations": []})["conversations"][:1]:
            self._answer(conversation)

    def _answer(self, conversation: Any) -> None:
        path, name = f"{self.campaign}/conversations/{conversation['contact_id']}", "conversations/{}"
        self.ask("GET", path, name)
        self.ask("GET", f"{path}/responses", f"{name}/responses")
        answer = {"revision": conversation["revision"], "response": "Yes"}
        key = f"answer-{conversation['contact_id']}-{conversation['revision']}"
        done = self.ask("POST", f"{path}/answers", f"{name}/answers", answer, key=key, fine=(_CHANGED,))
        self._acknowledged(done)
        thread = self.ask("GET", path, name)
        if done is not None and thread is not None:
            report = {"revision": thread["conversation"]["revision"], "tags": [self.plan.tag_id]}
            self.ask("POST", f"{path}/reports", f"{name}/reports", report, fine=(_CHANGED,))

    def _acknowledged(self, result: Any) -> None:
        if result is not None:
            self.tally.acknowledge(result)


class Admin(Caller):
    """Watches the results and how the inbox stands, and the stream that tells when they change."""

    wait_time = poisson(0.5)
    fixed_count = 1

    def on_start(self) -> None:
        super().on_start()
        self.token = self.plan.key
        self._watching = gevent.spawn(self._watch)

    def on_stop(self) -> None:
        self._watching.kill(block=False)

    @task
    def results(self) -> None:
        self.ask("GET", f"{self.action}/results", "results")

    @task
    def inbox(self) -> None:
        self.ask("GET", f"{self.campaign}/conversations:count", "conversations:count")

    def _watch(self) -> None:
        """Reads on after each break, as a browser does."""
        path = f"{self.campaign}/events?topics=inbox:all,action:{self.plan.action_id}"
        headers = {"Authorization": f"Bearer {self.token}"}
        while True:
            with (
                contextlib.suppress(*BROKEN),
                contextlib.closing(HTTPClient.from_url(self.plan.url, network_timeout=_QUIET_S)) as client,
            ):
                for chunk in client.request("GET", path, headers=headers):
                    self.tally.streamed += bytes(chunk).count(b"data:")
            gevent.sleep(3.0)
