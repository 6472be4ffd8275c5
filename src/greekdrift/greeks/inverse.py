"""Coin-settled (inverse) contracts: what they are worth in the coin, and the three deltas.

An inverse option pays (S − K)⁺/S coins, so that its value in coins is Black(F)/F and its cash worth now that
times the index S. With E = S (coin collateral + Σ coin value of the lines) + cash,

    delta_usd  = Σ ∂Black/∂F                      the venue's delta, N(d₁) on the forward
    delta_net  = Σ F ∂(Black/F)/∂F                premium-adjusted: delta_usd − coin value
    delta_collateral = delta_net + coin equity    dE/dS, forwards moving in proportion to the index

All three in coins. Linear contracts enter by their derivative to the forward, so that a book of them has
dE/dS = F/S times that: a basis of 2 % is 2 % of their delta. An inverse future or perpetual of Q USD pays
Q (1/F₀ − 1/F₁) coins.
"""

from jaxtyping import Float
from numpy import asarray, ndarray
from numpy.typing import ArrayLike

from greekdrift.greeks.black import Options, Quotes, delta, inverse, price

Values = Float[ndarray, "*value"]


def price_coin(at: Options) -> Quotes:
    """Value of an inverse option in coins of the underlying per coin: V = Black(F)/F.

    Parity in coins: C − P = D (1 − K/F). Source: contract terms of Deribit's inverse options.

    >>> from greekdrift.greeks.black import options
    >>> round(float(price_coin(options(forward=100.0, strike=100.0, volatility=0.5, time_to_expiry=0.25,
    ...                                is_call=True))), 6)
    0.099476
    """
    return price(at) * inverse(at.forward)


def delta_net(at: Options) -> Quotes:
    """Premium-adjusted delta of an inverse option, coins: F ∂(Black/F)/∂F = ∂Black/∂F − Black/F.

    For a call it is D (K/F) Φ(d₂), for a put −D (K/F) Φ(−d₂); it is not monotone in the strike for calls.
    Source: Castagna, FX Options and Smile Risk (2009), chapter 1.

    >>> from greekdrift.greeks.black import options
    >>> round(float(delta_net(options(forward=100.0, strike=100.0, volatility=0.5, time_to_expiry=0.25,
    ...                               is_call=True))), 6)
    0.450262
    """
    return delta(at) - price_coin(at)


def delta_collateral(net: ArrayLike, *, coin_equity: ArrayLike) -> Values:
    """Change of the account's equity in USD per USD of the index, coins: Σ delta_net + coin equity.

    `coin_equity` is the coin collateral plus the coin value of the inverse lines; cash in USD adds nothing.

    >>> float(delta_collateral(-0.4, coin_equity=1.0))
    0.6
    """
    return asarray(net, dtype=float) + asarray(coin_equity, dtype=float)


def pnl_coin(position_coin: ArrayLike, *, move: ArrayLike) -> Values:
    """Profit in coins of an inverse future or perpetual after a relative move x of its price: p x/(1 + x).

    `position_coin` is Q/F₀, the signed size in USD over the price before the move; x > −1.
    Concave for a long position: it loses more coins on a fall than it gains on an equal rise.

    >>> pnl_coin(2.0, move=[-0.5, 0.0, 1.0])
    array([-2.,  0.,  1.])
    """
    x = asarray(move, dtype=float)
    return asarray(position_coin, dtype=float) * x / (1.0 + x)


def pnl_usd(size_usd: ArrayLike, *, move: ArrayLike) -> Values:
    """The same profit in USD at the price after the move: pnl_coin F₀ (1 + x) = Q x, linear in the price.

    >>> pnl_usd(10_000.0, move=[-0.5, 0.1])
    array([-5000.,  1000.])
    """
    return asarray(size_usd, dtype=float) * asarray(move, dtype=float)
