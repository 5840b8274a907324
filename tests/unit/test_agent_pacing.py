"""Pacing of the agent: how long it waits after a failure, a refusal or a repair that somebody undid."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass

import pytest

from registry_trust.agent.backoff import after_refusal, full_jitter
from registry_trust.agent.delivery.api_client import RequestFailed, retry_after
from registry_trust.agent.delivery.report_rate import ReportRate
from registry_trust.agent.delivery.subscriptions import node_subject
from registry_trust.agent.delivery.watch import HEALTHY, RENEWAL, SILENCE, UNMARKED, Progress, Pulse
from registry_trust.agent.pacing import AGAIN, SLOWEST, TOLERATED, WINDOW, Failures, Repairs
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason

FULL = Problem(Reason.WRITE_FAILED, "ENOSPC")
KEY = ("/etc/docker/certs.d", "harbor.example:5000")


def half() -> float:
    return 0.5


def most() -> float:
    return 0.999


def test_failures_in_a_row_wait_longer_up_to_half_a_minute_and_never_less_than_the_floor() -> None:
    assert [full_jitter(failures, most) for failures in (1, 2, 3)] == [1.998, 3.996, 7.992]
    assert full_jitter(1000, most) == pytest.approx(29.97)
    assert [full_jitter(failures, lambda: 0.0) for failures in (1, 2)] == [0.5, 4 / 7]
    assert full_jitter(1000, lambda: 0.0) == 30 / 7


@pytest.mark.parametrize("wish", ["86400", "100000000000", "9" * 5000])
def test_a_server_that_asks_for_a_day_or_for_ever_is_asked_again_within_five_minutes(wish: str) -> None:
    assert 150.0 <= after_refusal(1, retry_after(wish), most) <= 300.0


def test_a_wish_that_is_no_number_is_none() -> None:
    assert after_refusal(1, float("nan"), half) == full_jitter(1, half)


def test_a_servers_own_wish_is_a_minimum() -> None:
    assert after_refusal(1, 30.0, lambda: 0.0) == 30.0
    assert after_refusal(1, 30.0, most) < 60.0
    assert after_refusal(1, 0.0, half) == full_jitter(1, half)


@pytest.mark.parametrize("wish", [0.0, 0.001, 1.0, 2.0])
def test_an_agent_that_is_refused_for_ten_minutes_asks_less_than_once_a_second_however_short_it_is_told_to_wait(
    wish: float,
) -> None:
    now, asked = 0.0, 0
    while now < 600:
        asked += 1
        now += after_refusal(asked, wish, lambda: 0.0)

    threads = 4  # two watches, the Node, the report
    assert threads * asked < 600


@pytest.mark.parametrize(("value", "seconds"), [("7", 7.0), (None, 0.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)])
def test_retry_after_is_read_in_seconds(value: str | None, seconds: float) -> None:
    assert retry_after(value) == seconds


def test_a_small_fleet_reports_at_once_whatever_the_server_said() -> None:
    rate = ReportRate()
    assert rate.spread(64, most) == 0.0
    for _ in range(100):
        rate.slow_down()
    assert rate.spread(50, most) == 0.0
    assert rate.spread(5000, half) == 50.0


def test_a_fleet_reports_sooner_where_answers_are_quick_and_later_where_they_are_slow_or_refusals() -> None:
    rate = ReportRate()
    assert rate.spread(3000, half) == 10.0
    rate.answered(0.01)
    assert rate.rate == 225.0
    rate.answered(0.5)
    assert rate.rate == 225.0
    rate.answered(5.0)
    assert rate.rate == 157.5
    for _ in range(100):
        rate.answered(0.01)
    assert rate.spread(5000, half) == 2.5
    assert rate.spread(1024, half) < 1.0


@dataclass
class SimulatedServer:
    """An API server that answers so many reports a second, lets others wait in a queue, and refuses what is more."""

    capacity: float
    queue: int
    free: float = 0.0
    """When the last report that it took is answered."""
    requests: int = 0

    def ask(self, now: float) -> float | None:
        """Return the seconds to the answer; None where the server answers 429 at once."""
        self.requests += 1
        begins = max(now, self.free)
        if (begins - now) * self.capacity > self.queue:
            return None
        self.free = begins + 1 / self.capacity
        return self.free - now


def rotation(server: SimulatedServer, rates: list[ReportRate], chance: random.Random) -> float:
    """Let every node of a fleet report once, through the reporter's own rules; return when the last one has."""
    server.free, server.requests, ended = 0.0, 0, 0.0
    size = 1 << (len(rates) - 1).bit_length()  # as the bundle says
    due = [(rate.spread(size, chance.random), 0, number) for number, rate in enumerate(rates)]
    heapq.heapify(due)
    while due:
        now, failures, number = heapq.heappop(due)
        took = server.ask(now)
        if took is None:
            rates[number].slow_down()
            pause = max(after_refusal(failures + 1, 1.0, chance.random), rates[number].spread(size, chance.random))
            heapq.heappush(due, (now + pause, failures + 1, number))
        else:
            rates[number].answered(took)
            ended = max(ended, now + took)
    return ended


@pytest.mark.parametrize(
    ("nodes", "capacity", "first", "fifth", "requests"),
    [
        (50, 20, 4, 4, 1.0),
        (1000, 100, 25, 25, 1.2),
        (1000, 1000, 10, 3, 1.0),
        (3000, 100, 85, 85, 1.5),
        (5000, 300, 60, 65, 1.5),
        (5000, 1000, 60, 20, 1.0),
        (5000, 30, 330, 330, 3.0),
    ],
)
def test_a_simulated_fleet_follows_what_its_server_takes_and_never_becomes_a_cascade(
    nodes: int, capacity: float, first: float, fifth: float, requests: float
) -> None:
    server, rates = SimulatedServer(capacity, queue=300), [ReportRate() for _ in range(nodes)]
    chance = random.Random(7)  # noqa: S311 - the same load each time
    took, asked = [], []
    for _ in range(8):
        took.append(rotation(server, rates, chance))
        asked.append(server.requests / nodes)

    assert took[0] < first, took
    assert max(took[4:]) < fifth, took
    assert max(asked) <= requests, asked


def test_a_watch_backs_off_until_a_stream_lived_for_a_minute() -> None:
    progress = Progress()
    waits = [progress.settle(RequestFailed("away"), 0.1, half) for _ in range(8)]
    assert waits == [1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0, 15.0]

    assert progress.settle(RequestFailed("away"), HEALTHY - 1, half) == 15.0
    assert progress.settle(RequestFailed("away"), HEALTHY, half) == 1.0


def test_a_stream_ends_when_it_is_silent_without_bookmarks_or_ten_minutes_old() -> None:
    pulse = Pulse(renewal=RENEWAL, marked=0.0)

    assert pulse.patience(0.0) == SILENCE
    assert pulse.fault(SILENCE) == "no data from the server for 80 seconds"
    assert pulse.patience(UNMARKED - 1.0) == 1.0, "events alone keep no stream open"
    assert pulse.fault(UNMARKED) == "no bookmark from the server for 240 seconds"
    pulse.marked = RENEWAL - 10.0
    assert pulse.patience(RENEWAL - 5.0) == 5.0, "nor do bookmarks, for longer than ten minutes or so"
    assert not pulse.fault(RENEWAL), "a stream whose time is up did not fail"


def test_every_stream_begins_with_the_object_as_it_is_now() -> None:
    assert node_subject("worker-1").query()["resourceVersion"] == "0"


def test_a_server_that_closes_at_once_is_no_hot_loop() -> None:
    progress = Progress()

    waits = [progress.settle(None, 0.0, half) for _ in range(3)]

    assert waits == [1.0, 2.0, 4.0]


def test_five_repairs_are_made_at_once_and_then_three_in_fifteen_seconds() -> None:
    repairs = Repairs()
    for number in range(TOLERATED):
        assert repairs.wait(KEY, float(number)) == 0.0
        repairs.record(KEY, float(number))
    assert not repairs.is_contested(KEY, 4.0)

    made = []
    now = 100.0
    for _ in range(9):
        now += repairs.wait(KEY, now)
        repairs.record(KEY, now)
        made.append(now - 100.0)

    assert repairs.is_contested(KEY, now)
    assert made == [0.0, 0.5, 2.5, 15.0, 15.5, 17.5, 30.0, 30.5, 32.5]
    assert repairs.wait(("/other", KEY[1]), now) == 0.0
    assert not repairs.is_contested(KEY, now + WINDOW + 1), "it is over when nobody undid anything for the window"
    assert repairs.total == TOLERATED + 9


def test_a_repair_that_the_end_of_a_clearing_undoes_is_made_again_at_once_however_often_the_root_is_cleared() -> None:
    repairs = Repairs()

    for number in range(180):
        now = number * 20.0
        for again in (0.0, *AGAIN):  # The neighbour is still deleting when the repair comes, twice.
            assert repairs.wait(KEY, now) <= again
            now += again
            assert repairs.wait(KEY, now) == 0.0
            repairs.record(KEY, now)


def test_an_entry_that_is_removed_every_20_seconds_for_an_hour_is_repaired_at_once_each_time() -> None:
    repairs = Repairs()

    for number in range(180):
        assert repairs.wait(KEY, number * 20.0) == 0.0
        repairs.record(KEY, number * 20.0)

    assert repairs.is_contested(KEY, 3600.0), "and it is said"


def test_what_failed_is_tried_again_later_and_other_content_at_once() -> None:
    failures = Failures(rand=half)
    failures.record(KEY, "digest-1", FULL, 100.0)

    assert failures.waiting(KEY, "digest-1", 100.5) == FULL
    assert failures.next_due(100.0) == 1.0
    assert failures.waiting(KEY, "digest-1", 101.0) is None
    assert failures.waiting(KEY, "digest-2", 100.5) is None

    for _ in range(10):
        failures.record(KEY, "digest-1", FULL, 200.0)
    assert failures.next_due(200.0) == SLOWEST / 2
    failures.keep(set())
    assert failures.next_due(200.0) is None
