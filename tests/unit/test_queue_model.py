"""The simulation of the queue against closed forms, and against what the page flow promises."""

from __future__ import annotations

import random
from statistics import fmean, median

import pytest

from benchmarks.scale.queue_model import Load, Servers, erlang_c, mean_wait_md1, mean_wait_mmc, simulate
from benchmarks.scale.queueing import SIZES, daily, draw_size, main, mean_size


def steady(rate: float, seconds: float, pages: int = 1) -> Load:
    return Load(seconds, lambda _: rate, rate, lambda _: pages)


def exponential(mean: float):
    return lambda chance: chance.expovariate(1 / mean)


@pytest.mark.parametrize(("workers", "busy"), [(1, 0.7), (4, 0.8), (20, 0.9)])
def test_waits_are_those_of_m_m_c(workers: int, busy: float):
    rate = workers * busy
    outcome = simulate(steady(rate, 120_000 / rate), Servers(workers, exponential(1.0)))
    assert fmean(outcome.waits) == pytest.approx(mean_wait_mmc(workers, rate, 1.0), rel=0.12)
    waited = sum(wait > 0 for wait in outcome.waits) / len(outcome.waits)
    assert waited == pytest.approx(erlang_c(workers, rate), rel=0.05)
    assert outcome.busy == pytest.approx(busy, rel=0.02)


def test_waits_are_those_of_m_d_1():
    outcome = simulate(steady(0.8, 100_000), Servers(1, lambda _: 1.0))
    assert fmean(outcome.waits) == pytest.approx(mean_wait_md1(0.8, 1.0), rel=0.06)


def test_the_closed_forms_are_known_values():
    # One server: Erlang C is the load. Two with one erlang: 1/3 (any textbook).
    assert erlang_c(1, 0.6) == pytest.approx(0.6)
    assert erlang_c(2, 1.0) == pytest.approx(1 / 3)
    assert mean_wait_mmc(1, 0.5, 1.0) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="without end"):
        erlang_c(3, 3.0)


def test_a_document_is_read_by_as_many_workers_as_it_may_have_tickets():
    alone = Load(1.0, lambda _: 50.0, 50.0, lambda _: 32)
    for parallelism, seconds in ((4, 8.0), (1, 32.0)):
        outcome = simulate(alone, Servers(1000, lambda _: 1.0, parallelism=parallelism))
        assert outcome.times == pytest.approx([seconds] * len(outcome.times))


@pytest.mark.parametrize(("turn_seconds", "longest"), [(5.0, 40.0), (1e9, 1e9)])
def test_a_book_gives_way_to_what_nobody_has_opened(turn_seconds: float, longest: float):
    sizes = iter([1000, *[1] * 10_000])
    outcome = simulate(
        Load(200, lambda _: 1.0, 1.0, lambda _: next(sizes)), Servers(2, lambda _: 1.0, turn_seconds=turn_seconds)
    )
    wait = median(outcome.waits[1:])
    assert wait < longest
    assert turn_seconds < 10 or wait > 300, "the book should have held everybody up"


def test_sizes_and_rates_are_what_they_say():
    chance, draw = random.Random(1), draw_size()
    assert sum(SIZES.values()) == pytest.approx(1)
    assert fmean(draw(chance) for _ in range(200_000)) == pytest.approx(mean_size(), rel=0.05)
    rates = [daily(10, 2.0)(hour * 3600) for hour in range(24)]
    assert (min(rates), max(rates), fmean(rates)) == pytest.approx((0, 20, 10))


def test_it_prints_and_saves_a_table(tmp_path, capsys):
    output = tmp_path / "queueing.json"
    assert main(["--hours", "2", "--scale", "0.01", "--headroom", "1", "--output", str(output)]) == 0
    assert "pages a day" in capsys.readouterr().out
    assert '"wait_p99_seconds"' in output.read_text()
