"""A chain refuses what contradicts itself, and says where and what to do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from greekdrift.book import Chain, digest
from greekdrift.book.instrument import parse
from greekdrift.errors import ChainError

AS_OF = datetime(2025, 3, 1, 8, tzinfo=UTC)
NAMES = ("BTC-27JUN25-100000-C", "BTC-27JUN25-100000-P", "BTC-PERPETUAL")


def make(**changes: object) -> Chain:
    columns: dict[str, object] = {
        "venue": "deribit",
        "as_of": AS_OF,
        "known_at": AS_OF + timedelta(minutes=5),
        "instruments": tuple(parse(name) for name in NAMES),
        "contract_size": np.array([1.0, 1.0, 10.0]),
        "forward": np.array([86_000.0, 86_000.0, 85_000.0]),
        "bid": np.array([0.029, 0.18, 84_995.0]),
        "ask": np.array([0.031, np.nan, 85_005.0]),
        "mark": np.array([0.03, 0.19, 85_000.0]),
        "mark_iv": np.array([0.5, 0.5, np.nan]),
        "open_interest": np.array([10.0, 0.0, np.nan]),
        "volume_24h": np.array([1.0, 0.0, np.nan]),
        "index_price": {"BTC": 84_990.0},
    }
    return Chain(**(columns | changes))  # type: ignore[arg-type]


def test_derived_columns() -> None:
    chain = make()
    assert chain.underlyings == ("BTC",)
    assert chain.is_option.tolist() == [True, True, False]
    assert chain.is_inverse.all()
    assert np.isinf(chain.time_to_expiry[2])
    assert chain.time_to_expiry[0] == pytest.approx(118 / 365)
    assert chain.rows(["BTC-PERPETUAL"]).tolist() == [2]
    assert len(chain.take(chain.is_option)) == 2
    assert make(instruments=tuple(parse(name) for name in (*NAMES[:2], "BTC_USDC"))).is_spot.tolist() == [0, 0, 1]


def test_the_settlement_average_is_a_fact_of_the_chain() -> None:
    plain, averaged = make(), make(settlement_average_minutes=30)
    assert plain.settlement_window == 0.0
    assert averaged.settlement_window == pytest.approx(0.5 / 8760.0, rel=1e-15)
    assert averaged.take([0]).settlement_average_minutes == 30.0
    assert digest(averaged) == digest(make(settlement_average_minutes=30.0)) != digest(plain)
    for minutes in (-1.0, np.nan, np.inf, 1441.0):
        with pytest.raises(ChainError, match=r"settlement_average_minutes .* take it from the venue file"):
            make(settlement_average_minutes=minutes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"bid": np.array([0.04, 0.18, 1.0])},
            r"BTC-27JUN25-100000-C: bid 0.04 above ask 0.031 at 2025-03-01T08:00:00Z; drop .* quality.uncrossed",
        ),
        ({"mark": np.array([np.nan, 0.19, 1.0])}, "mark nan"),
        ({"mark_iv": np.array([50.1, 0.5, np.nan])}, "convert points to fractions"),
        ({"mark_iv": np.array([0.5, np.nan, np.nan])}, "is not a volatility"),
        ({"forward": np.array([0.0, 1.0, 1.0])}, "forward"),
        ({"as_of": AS_OF + timedelta(days=400), "known_at": AS_OF + timedelta(days=400)}, "has expired"),
        ({"known_at": AS_OF - timedelta(seconds=1)}, "known_at"),
        ({"index_price": {}}, "index price"),
        ({"bid": np.array([0.1])}, "shape"),
        ({"volume_24h": np.array([-1.0, 0.0, 0.0])}, "volume_24h"),
        ({"origin": "guessed"}, "origin"),
    ],
)
def test_refusals(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ChainError, match=message):
        make(**changes)


def test_crossed_quotes_pass_only_when_asked_for() -> None:
    assert make(bid=np.array([0.04, 0.18, 1.0]), allow_crossed=True).bid[0] == 0.04


def test_a_duplicate_and_an_unlisted_instrument() -> None:
    with pytest.raises(ChainError, match=r"lists BTC-27JUN25-100000-C twice; keep one row of it"):
        make(instruments=(parse(NAMES[0]), parse(NAMES[0]), parse(NAMES[2])))
    with pytest.raises(ChainError, match="did you mean"):
        make().rows(["BTC-27JUN25-10000-C"])


def test_columns_are_frozen_and_the_digest_sees_every_one() -> None:
    chain = make()
    with pytest.raises(ValueError, match="read-only"):
        chain.mark[0] = 1.0
    seen = {digest(chain)}
    for name in ("contract_size", "forward", "bid", "ask", "mark", "open_interest", "volume_24h"):
        column = getattr(chain, name).copy()
        column[0] *= 1.0 + 1e-12 if name != "open_interest" else 1.1
        seen.add(digest(replace(chain, **{name: column})))
    assert len(seen) == 8
    assert digest(make()) == digest(chain)


@pytest.mark.parametrize(
    ("rows", "numbers"),
    [(None, [0, 1, 2]), ([], []), ([2, 0], [2, 0]), ([True, False, True], [0, 2]), (np.array([1], np.int32), [1])],
)
def test_row_numbers_of_numbers_masks_and_nothing(rows: object, numbers: list[int]) -> None:
    assert make().numbers(rows).tolist() == numbers  # type: ignore[arg-type]
    assert make().numbers(rows).dtype == np.int64  # type: ignore[arg-type]


@pytest.mark.parametrize("rows", [[3], [-1], [0.5], [True, False], [[0]], ["BTC-PERPETUAL"]])
def test_row_numbers_that_are_none_are_refused(rows: object) -> None:
    with pytest.raises(ChainError, match=r"rows .* of a chain of 3 rows"):
        make().numbers(rows)  # type: ignore[arg-type]
