"""What the loop remembers of a project while the daemon runs: steps under way, what failed, who is told."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from coracle.compose.projects.steps import Plan, Step
from coracle.compose.projects.telling import Follower, line

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0
DOUBT_S = 0.5  # after which Compose looks at what it waits for


@dataclass
class Work:
    """Of one project.

    held      how many are about to declare something else: no step is begun
    busy      subject -> the step under way
    pauses    subject -> (failures in a row, not to be tried before that monotonic moment)
    given_up  subjects of what stays because others use it
    told      state and title -> the word last told of what is waited for
    doubts    what may be a failure -> the monotonic moment since when
    error     why the declaration was taken back, or did not come true
    """

    turn: int = 0
    held: int = 0
    busy: dict[str, Step] = field(default_factory=dict)
    pauses: dict[str, tuple[int, float]] = field(default_factory=dict)
    given_up: set[str] = field(default_factory=set)
    told: dict[str, str] = field(default_factory=dict)
    doubts: dict[str, float] = field(default_factory=dict)
    error: str = ""
    followers: list[Follower] = field(default_factory=list)

    def enter(self, turn: int) -> None:
        """A new declaration: what failed under the one before is tried again, and nobody waits for that any more."""
        if turn == self.turn:
            return
        self.turn, self.error = turn, ""
        self.pauses.clear()
        self.given_up.clear()
        self.told.clear()
        self.doubts.clear()
        self.end(1, "another command has changed what the project is to be", upto=turn - 1)

    def tell(self, id: str, text: str, detail: str = "", state: str = "") -> None:
        for follower in self.followers:
            follower.tell(line(id, text, detail, state))

    def tell_once(self, title: str, word: str, state: str = "") -> None:
        """Not again while the word stays the same."""
        if self.told.get(state + title) != word:
            self.told[state + title] = word
            self.tell(title, word, state=state)

    def end(self, exit_code: int, error: str = "", *, upto: int) -> None:
        """End those who wait for that turn or an earlier one."""
        for follower in self.followers:
            if follower.turn <= upto:
                follower.end(exit_code, error)
        self.followers = [one for one in self.followers if not one.ended]

    def pause(self, subject: str, now_s: float) -> None:
        failures = self.pauses.get(subject, (0, 0.0))[0]
        delay_s = min(FIRST_PAUSE_S * 2.0 ** min(failures, 20), LONGEST_PAUSE_S)
        self.pauses[subject] = (failures + 1, now_s + delay_s)

    def weigh(self, what: Plan, now_s: float) -> tuple[Plan, float]:
        """`what` with the doubts that are old enough among its failures; and when to look at the others again, or 0."""
        self.doubts = {said: self.doubts.get(said, now_s) for said in what.doubts}
        rests = {said: since_s + DOUBT_S - now_s for said, since_s in self.doubts.items()}
        failures = tuple(said for said, rest_s in rests.items() if rest_s <= 0)
        return replace(what, failures=(*what.failures, *failures)), min((s for s in rests.values() if s > 0), default=0)

    def rest_s(self, subject: str, now_s: float) -> float:
        """How long the step is still not to be tried; 0: it may be."""
        return max(0.0, self.pauses.get(subject, (0, 0.0))[1] - now_s)

    @property
    def state(self) -> dict[str, Any]:
        """For people."""
        return {"working_on": sorted(self.busy), "error": self.error}
