"""Every form of margin steers a proposal: what it claims is what the slow truth says, and the judge lets it pass."""

import pytest

from greekdrift import policy
from greekdrift.book import after_orders
from greekdrift.book.rules import stressed_labels
from greekdrift.config import load_rules, load_venue
from greekdrift.margin import naive_engine
from greekdrift.verify import Verified, verify

VENUE = load_venue("deribit")


@pytest.mark.parametrize("name", ["deribit_pm", "deribit_standard", "derive_pm2"])
def test_10_nothing_is_proposed_whose_margin_differs_from_what_it_claims(made, name):
    chain, rules = made.chain(), load_rules(name)
    account = made.account(made.straddles, rule_set=name, collateral={"BTC": 60.0, "USDC": 500_000.0})
    at = policy.case(chain, account, rules=rules, venue=VENUE, now=chain.known_at)
    found = policy.baseline(at)
    assert found.adjustment.orders
    after = after_orders(account, found.adjustment.orders, chain, VENUE)
    exact, claim = naive_engine.requirement(chain, after, rules), found.adjustment.claim
    assert claim.initial_margin_usd == pytest.approx(exact.initial_margin_usd, rel=1e-9)
    assert claim.maintenance_margin_usd == pytest.approx(exact.maintenance_margin_usd, rel=1e-9)
    verdict = verify(account, chain, found.adjustment, account.mandate, rules, chain.known_at, venue=VENUE)
    assert isinstance(verdict, Verified), [finding for finding in verdict.findings if not finding.passed]
    stressed = [row for row in verdict.certificate.findings if row.check.startswith("stressed")]
    assert all(f"over {len(stressed_labels(rules.parameters))} stressed states" in row.detail for row in stressed)


def test_the_exact_engine_has_the_last_word_where_cuts_are_local_ones(made):
    """A rule set that is not convex: what the search finds with its cuts stands by the slow truth."""
    chain, rules = made.chain(), load_rules("deribit_pm")
    assert not rules.is_convex
    account = made.account(made.straddles, rule_set="deribit_pm", liquidity_buffer_usd=0.0)
    at = policy.case(chain, account, rules=rules, venue=VENUE, now=chain.known_at)
    found = policy.baseline(at)
    trade = {order.instrument.name: order.quantity for order in found.adjustment.orders}
    rows = [chain.instruments[row].name for row in at.universe.rows]
    moved = at.nothing.copy()
    for name, quantity in trade.items():
        moved[rows.index(name)] = quantity
    assert at.stands(moved)
    after = naive_engine.requirement(chain, at.after(moved), rules)
    assert after.excess_usd >= at.required_excess_usd - 1e-6
