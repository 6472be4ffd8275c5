"""Feeds on a chain: doubt, a stablecoin off its peg, further collateral; engine and slow loop, and what is refused."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from greekdrift.book import Account, Chain, Position, digest
from greekdrift.book.feeds import Feeds, with_feeds
from greekdrift.config import load_rules, load_venue
from greekdrift.config.document import Document
from greekdrift.config.problem import parse
from greekdrift.errors import ChainError
from greekdrift.journal.inputs import record, text
from greekdrift.margin import MarginResult, engine, naive_engine
from greekdrift.margin.lines import held_rows
from greekdrift.serve.schema import ChainBody
from greekdrift.serve.wire import chain_values

MakeChain = Callable[..., Chain]
RULES = load_rules("derive_pm2")
EXPIRIES = ("3JAN26", "10JAN26", "31JAN26", "2APR26")


def doubtful(chain: Chain, seed: int, *, pair: str = "BTC") -> Chain:
    """The chain with a confidence in every feed, some of them low, and a stablecoin at 0.95."""
    dice = np.random.default_rng(seed)
    names = ["BTC", *(chain.instruments[row].name for row in np.flatnonzero(~chain.is_option))]
    names += [f"{pair}-{expiry} {part}" for expiry in EXPIRIES for part in ("forward", "rate", "volatility")]
    confidence: dict[str, float | None] = {name: float(dice.choice((1.0, 0.9, 0.5, 0.2))) for name in names}
    confidence["BTC"] = float(dice.choice((1.0, 0.5)))
    return with_feeds(chain, Feeds(confidence=confidence, stable_price=0.95, prices={}))


def book(chain: Chain, seed: int, *, lines: int = 12, **collateral: float) -> Account:
    dice = np.random.default_rng(seed)
    rows = dice.choice(len(chain), size=lines, replace=False)
    scale = np.where(chain.is_inverse & ~chain.is_option, 1e4, 5.0)
    positions = [Position(instrument=chain.instruments[r], quantity=float(dice.normal(scale=scale[r]))) for r in rows]
    return Account(account_id=f"a{seed}", collateral=collateral, positions=tuple(positions))


def same(one: MarginResult, other: MarginResult) -> None:
    size = 1e-10 * (1.0 + other.initial_margin_usd + abs(other.equity_usd))
    for name in ("initial_margin_usd", "maintenance_margin_usd", "equity_usd"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=size)
    for own, truth in zip(one.parts, other.parts, strict=True):
        for name, value in own.contingencies.items():
            assert value == pytest.approx(truth.contingencies[name], abs=size), name


@pytest.mark.parametrize(("currency", "pair"), [("", "BTC"), ("USDC", "BTC_USDC")])
@pytest.mark.parametrize("seed", range(6))
def test_doubt_of_the_engine_is_that_of_the_slow_loop(
    make_chain: MakeChain, currency: str, pair: str, seed: int
) -> None:
    chain = doubtful(make_chain(currency=currency), seed, pair=pair)
    account = book(chain, seed, USDC=1e5, BTC=2.0 - seed)
    found = engine.requirement(chain, account, RULES)
    same(found, naive_engine.requirement(chain, account, RULES))
    trusted = engine.requirement(replace(chain, feeds=None), account, RULES)
    assert found.initial_margin_usd >= trusted.initial_margin_usd
    assert sum(part.contingencies["doubtful prices"] for part in trusted.parts) == 0.0


def test_a_doubtful_perpetual_by_hand(make_chain: MakeChain) -> None:
    """(1 − 0.3) × charge 1 × 2 coins × index, for the perpetual, and as much per coin for the option beside it."""
    chain = make_chain(currency="USDC")
    feeds = Feeds(confidence={"BTC_USDC-PERPETUAL": 0.3, "*": 1.0}, stable_price=None, prices={})
    name = "BTC_USDC-31JAN26-115000-C"
    lines = (Position.of("BTC_USDC-PERPETUAL", -2.0), Position.of(name, 3.0))
    for held, doubt in ((lines[:1], 0.7 * 2.0e5), (lines, 0.7 * 5.0e5), (lines[1:], 0.0)):
        account = Account(account_id="a", collateral={}, positions=held)
        (part,) = engine.requirement(with_feeds(chain, feeds), account, RULES).parts
        assert part.contingencies["doubtful prices"] == pytest.approx(doubt, rel=1e-12)


def test_a_stablecoin_off_its_peg_raises_the_share_of_the_loss_and_the_worth_of_coins(make_chain: MakeChain) -> None:
    chain = make_chain()
    off = with_feeds(chain, Feeds(confidence={"*": 1.0}, stable_price=0.93, prices={}))
    account = Account(account_id="a", collateral={"BTC": 2.0}, positions=())
    (part,) = engine.requirement(off, account, RULES).parts
    assert part.equity_usd == pytest.approx(2.0e5 / 0.93, rel=1e-12)
    # worst loss 18 % of the value, share 1 + 2 (0.98 − 0.93), haircuts of 3 %
    assert part.initial_margin_usd == pytest.approx(2.0e5 / 0.93 * (0.18 * 1.1 + 0.03), rel=1e-12)


def test_further_collateral_is_priced_by_the_feeds(make_chain: MakeChain) -> None:
    chain = make_chain()
    feeds = Feeds(confidence={"*": 1.0, "USDT": 0.5}, stable_price=None, prices={"USDT": 0.999})
    account = Account(account_id="a", collateral={"USDT": 1000.0}, positions=())
    for page in (engine, naive_engine):
        found = page.requirement(with_feeds(chain, feeds), account, RULES)
        assert found.equity_usd == pytest.approx(999.0)
        assert found.initial_margin_usd == pytest.approx(999.0 * (0.02 + 0.03 + 0.5))
        assert found.maintenance_margin_usd == pytest.approx(999.0 * 0.02)
    with pytest.raises(ChainError, match="BTC has an index price on the chain"):
        with_feeds(chain, Feeds(confidence={}, stable_price=None, prices={"BTC": 1.0}))


def test_a_feed_that_is_not_there_is_no_trusted_feed(make_chain: MakeChain) -> None:
    chain = make_chain()
    account = Account(account_id="a", collateral={}, positions=(Position.of("BTC-31JAN26-115000-C", -1.0),))
    known: dict[str, float | None] = {"BTC": 1.0, "BTC-31JAN26 forward": 1.0, "BTC-31JAN26 rate": None}
    for page in (engine, naive_engine):
        with pytest.raises(ChainError, match=r'no confidence for the feed "BTC-31JAN26 volatility".*did you mean'):
            page.requirement(with_feeds(chain, Feeds(confidence=known, stable_price=1.0, prices={})), account, RULES)
        declared = Feeds(confidence={**known, "BTC-31JAN26 volatility": None}, stable_price=1.0, prices={})
        own = page.requirement(with_feeds(chain, declared), account, RULES)
        assert own == page.requirement(chain, account, RULES)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"confidence": {"BTC": 1.2}}, "confidence 1.2 does not lie between 0 and 1"),
        ({"confidence": {"BTC": float("nan")}}, "confidence nan"),
        ({"stable_price": 0.0}, "stable_price 0.0 is not a positive number"),
        ({"prices": {"USDT": float("nan")}}, "price nan is not a positive number"),
    ],
)
def test_numbers_that_cannot_be_are_refused(given: dict, message: str) -> None:
    with pytest.raises(ChainError, match=message):
        Feeds(**{"confidence": {}, "stable_price": None, "prices": {}, **given})


@pytest.mark.parametrize("seed", range(4))
def test_slopes_equal_bumps_where_prices_are_doubtful(make_chain: MakeChain, seed: int) -> None:
    chain = doubtful(make_chain(), seed)
    account = book(chain, seed, lines=8, BTC=2.5, USDC=1e6)
    rows = held_rows(chain, [account])
    slope = engine.subgradient(chain, account, RULES, rows)
    before = naive_engine.requirement(chain, account, RULES).initial_margin_usd
    for at, row in enumerate(rows):
        sides = []
        for bought in (-1e-4, 1e-4):
            instrument, collateral = chain.instruments[row], dict(account.collateral)
            if instrument.is_option:
                collateral["BTC"] -= bought * float(chain.mark[row])
            quantities = {one.instrument: one.quantity for one in account.positions}
            quantities[instrument] += bought
            lines = tuple(Position(instrument=one, quantity=n) for one, n in quantities.items())
            then = Account(account_id="then", collateral=collateral, positions=lines)
            sides.append((naive_engine.requirement(chain, then, RULES).initial_margin_usd - before) / bought)
        slack = 1e-4 * (1.0 + abs(slope[at]))
        assert min(sides) - slack <= slope[at] <= max(sides) + slack, chain.instruments[row].name


def test_a_chain_without_feeds_digests_as_ever_and_one_with_them_comes_back_whole(make_chain: MakeChain) -> None:
    chain = make_chain()
    assert b'"feeds"' not in text(chain)
    with_some = doubtful(chain, 1)
    back = record(Chain, text(with_some))
    assert back.feeds == with_some.feeds
    assert digest(back) == digest(with_some) != digest(chain)
    assert with_some.take([0, 1]).feeds == with_some.feeds


def test_feeds_travel_with_a_chain_that_is_sent(make_chain: MakeChain) -> None:
    venue = load_venue("deribit")
    for feeds in (None, Feeds(confidence={"*": None, "BTC": 0.4}, stable_price=0.99, prices={"USDT": 0.999})):
        chain = make_chain(settlement_average_minutes=venue.settlement_average_minutes)
        chain = chain if feeds is None else with_feeds(chain, feeds)
        sent = chain_values(chain)
        assert ("feeds" in sent) == (feeds is not None)
        back = parse(ChainBody, Document(name="chain", values=sent)).record(venue)
        assert digest(back) == digest(chain)
