# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A tour of the street
#
# One snapshot's way: chain + account → surface → exposure → panel → scenarios → forecast → adjustment → verified.
#
# Everything here runs on data that come with `pip install 'greekdrift[demo]'`: the implied-volatility surfaces of
# five US stocks in 2023 (package `qmoms`). The surfaces are real; the listed contracts are *modelled* from them.
# Open it with `jupytext --to ipynb notebooks/tour.py`, or run it as a script.

# %%
import matplotlib.pyplot as plt
import numpy as np

from greekdrift.book import Account, Band, Kind, Mandate, Outcome, Position
from greekdrift.config import load_rules, load_venue
from greekdrift.features.panel import build
from greekdrift.forecast.econometric import FilteredHistorical
from greekdrift.greeks.exposure import exposure
from greekdrift.market.packaged import QmomsSource
from greekdrift.rebalance import rebalance
from greekdrift.surface import FACTORS, arbitrage, fit, scenario, state
from greekdrift.verify import Verified, verify

venue, rules = load_venue("equity"), load_rules("derive_pm2")
source = QmomsSource(venue=venue, underlyings=("AAPL", "TSLA"))
moments = source.snapshots()
chain = source.chain(moments[-1])
print(f"{len(chain)} rows of {', '.join(chain.underlyings)} at {chain.as_of}, {chain.origin}")

# %% [markdown]
# ## The surface, and its state in 26 numbers an underlying

# %%
surface = fit.fit(chain)
print(f"{len(surface.slices)} slices, arbitrage inside ±5 standard deviations: {arbitrage.check(surface) or 'none'}")
smile = surface.of("TSLA")[0]
moneyness = np.linspace(-0.35, 0.35, 200)
figure, axes = plt.subplots(figsize=(7, 3.5))
axes.plot(moneyness, 100 * smile.volatility(moneyness), label=f"raw SVI, rmse {100 * smile.rmse:.2f} points")
rows = (chain.underlying == "TSLA") & (chain.expiry == np.datetime64(smile.expiry.replace(tzinfo=None)))
strikes = np.log(chain.strike[rows] / chain.forward[rows])
axes.plot(strikes, 100 * chain.mark_iv[rows], ".", color="black", markersize=4, label="marks")
axes.set(xlabel="log-moneyness ln(K/F)", ylabel="implied volatility, %", title=f"TSLA, expiry {smile.expiry:%d %b %Y}")
axes.legend()
levels = state.state(surface, chain)
for name in ("atm_30", "skew_30", "curvature_30"):
    print(f"TSLA {name}: {levels.value('TSLA', name):+.4f}")

# %% [markdown]
# ## A book, and its three deltas

# %%
names = sorted(row.name for row in chain.instruments if row.is_option and row.underlying == "TSLA")
near = [row for row in chain.instruments if row.is_option and row.underlying == "TSLA" and row.expiry == smile.expiry]
strike = min({row.strike for row in near if row.strike is not None}, key=lambda level: abs(level - smile.forward))
call, put = (next(row for row in near if row.strike == strike and row.is_call is side) for side in (True, False))
mandate = Mandate(
    rule_set=rules.name,
    venues=(venue.name,),
    bands=(
        Band(greek="delta", underlying="TSLA", lower=-300.0, upper=300.0),
        Band(greek="vega", underlying="TSLA", lower=-90_000.0, upper=90_000.0),
    ),
    liquidity_buffer_usd=20_000.0,
    max_order_notional_usd=1_000_000.0,
    max_cost_usd=10_000.0,
    hedge_kinds=(Kind.SPOT, Kind.OPTION),
)
book = Account(
    account_id="straddles",
    collateral={"USD": 600_000.0},
    positions=(
        Position(instrument=call, quantity=-20.0),
        Position(instrument=put, quantity=-20.0),
        Position.of("TSLA.USD-SPOT", 900.0),
    ),
    mandate=mandate,
)
for name, column in exposure(chain, [book]).quantities.items():
    print(f"{name:>17}: {column[0, chain.underlyings.index('TSLA')]:14,.3f}")

# %% [markdown]
# ## The clock alone, and a shock
#
# The certain part of the drift needs no model: hold the market still and let a day pass. Then move it: spot −10 %,
# volatility level +20 %.

# %%
shock = np.zeros((len(chain.underlyings), len(FACTORS)))
tomorrow = scenario.move(chain, surface, shock, 24.0, chain.underlyings)
shock[:, FACTORS.index("forward")] = np.log(0.9)
for at, factor in enumerate(FACTORS):
    if factor.startswith("atm"):
        shock[:, at] = np.log(1.2)
crash = scenario.move(chain, surface, shock, 24.0, chain.underlyings)
for label, later in (("now", chain), ("clock, 24 h", tomorrow), ("spot -10 %, vol +20 %, 24 h", crash)):
    sums = exposure(later, [book])
    figures = [sums.value("straddles", "TSLA", name) for name in ("delta_net", "gamma", "vega")]
    print(f"{label:>27}: delta {figures[0]:9,.1f}  gamma {figures[1]:8,.2f}  vega {figures[2]:12,.0f}")

# %% [markdown]
# ## Scenarios, the forecast, and the verified adjustment
#
# Filtered historical simulation: joint residuals of the state, redrawn at today's scale. `rebalance` is the whole
# cycle; the outcome is `VERIFIED_ML`, `BASELINE` or `HOLD`, and nothing that the judge has not recomputed leaves.

# %%
panel = build(source)
predictor = FilteredHistorical().fit(panel.until(moments[-40]))
now = chain.known_at
history = panel.until(now)
decision = rebalance(
    chain, [book], rules=rules, venue=venue, now=now, predictor=predictor, history=history, horizons=(24.0, 72.0), n=400
)[0]
print(decision.outcome, *decision.reasons, sep="\n  ")
forecast = decision.forecast
assert forecast is not None
for band in mandate.bands:
    chance = forecast.breach_probability("straddles", band.label)
    print(f"breach of {band.label} within {forecast.horizons[-1]:.0f} h: {chance:.1%}")

# %%
assert decision.outcome is not Outcome.HOLD
assert decision.adjustment is not None
assert decision.certificate is not None
for order in decision.adjustment.orders:
    print(f"{order.quantity:+,.0f} {order.instrument.name} at {order.limit_price:g}: {order.reason}")
certificate = decision.certificate
print(f"certificate {certificate.digest[:16]}…, {len(certificate.findings)} checks")

# %% [markdown]
# The judge can be asked again by anyone who holds the same book and chain; one changed digit is refused.

# %%
verdict = verify(book, chain, decision.adjustment, mandate, rules, now, venue=venue)
assert isinstance(verdict, Verified)
print("verified again:", verdict.certificate.digest == certificate.digest)
