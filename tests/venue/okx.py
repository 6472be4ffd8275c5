"""A stand-in for `ccxt.okx` that answers hand-written payloads: options and a perpetual of one coin."""

from datetime import UTC, datetime, timedelta
from typing import Any

from greekdrift.greeks import compute

AS_OF = datetime(2026, 6, 20, 10, tzinfo=UTC)
EXPIRY = datetime(2026, 7, 31, 8, tzinfo=UTC)
FORWARD, SPOT = 70_400.0, 70_000.0
STRIKES = (60_000, 70_000, 80_000)
SWAP = "BTC-USD-SWAP"
YEAR = 31_536_000.0
HOLE = range(7, 130)


def milliseconds(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))


class Answers:
    """What the exchange says, by question; each answer may be changed before it is given."""

    def __init__(self, *, as_of: datetime = AS_OF, expiry: datetime = EXPIRY) -> None:
        self.as_of, self.expiry = as_of, expiry
        self.asked: list[str] = []
        self.problem: Exception | None = None
        self.data: dict[str, list[dict[str, Any]]] = {name: [] for name in ("terms", "summary", "mark", "oi", "ticker")}
        self.rate = [{"instId": SWAP, "fundingRate": "0.0000182", "ts": milliseconds(as_of)}]
        self.index = [{"instId": "BTC-USD", "idxPx": str(SPOT), "ts": milliseconds(as_of)}]
        for strike in STRIKES:
            for side in "CP":
                self.list(strike, side)
        self.data["terms"].append(
            {"instId": SWAP, "instType": "SWAP", "ctVal": "100", "ctMult": "1", "settleCcy": "BTC", "state": "live"}
        )
        self.data["mark"].append({"instId": SWAP, "instType": "SWAP", "markPx": "70010.5"})
        self.data["oi"].append({"instId": SWAP, "instType": "SWAP", "oi": "900000"})
        self.data["ticker"].append(
            {"instId": SWAP, "instType": "SWAP", "bidPx": "70010.4", "askPx": "70010.6", "vol24h": "5000000",
             "ts": milliseconds(as_of)}
        )  # fmt: skip

    def list(self, strike: int, side: str) -> None:
        """Lists an option and quotes it."""
        name, years = f"BTC-USD-{self.expiry:%y%m%d}-{strike}-{side}", (self.expiry - self.as_of).total_seconds() / YEAR
        price = compute(
            ["price"], forward=FORWARD, strike=strike, volatility=0.53, time_to_expiry=years, is_call=side == "C"
        )["price"]
        mark = float(price) / FORWARD
        self.data["terms"].append(
            {"instId": name, "ctVal": "1", "ctMult": "0.01", "settleCcy": "BTC", "stk": f"{strike:g}",
             "optType": side, "expTime": milliseconds(self.expiry), "state": "live", "lotSz": "1", "tickSz": "0.0001"}
        )  # fmt: skip
        self.data["summary"].append(
            {"instId": name, "markVol": "0.53", "bidVol": "0", "askVol": "0.55", "fwdPx": str(FORWARD),
             "ts": milliseconds(self.as_of)}
        )  # fmt: skip
        self.data["mark"].append({"instId": name, "instType": "OPTION", "markPx": f"{mark:.10f}"})
        self.data["oi"].append({"instId": name, "instType": "OPTION", "oi": "300", "oiCcy": "3"})
        self.data["ticker"].append(
            {"instId": name, "bidPx": "", "bidSz": "", "askPx": f"{mark + 0.002:.4f}", "askSz": "12",
             "vol24h": "250", "last": ""}
        )  # fmt: skip

    def _said(self, name: str, params: Any) -> dict[str, Any]:
        self.asked.append(name)
        if self.problem is not None:
            raise self.problem
        kind = params.get("instType", "OPTION")
        rows = [row for row in self.data[name] if row.get("instType", kind) == kind]
        return {"code": "0", "msg": "", "data": rows}

    def public_get_public_instruments(self, params: Any) -> Any:
        return self._said("terms", params)

    def public_get_public_opt_summary(self, params: Any) -> Any:
        return self._said("summary", params)

    def public_get_public_mark_price(self, params: Any) -> Any:
        return self._said("mark", params)

    def public_get_public_open_interest(self, params: Any) -> Any:
        return self._said("oi", params)

    def public_get_market_tickers(self, params: Any) -> Any:
        return self._said("ticker", params)

    def public_get_market_index_tickers(self, params: Any) -> Any:
        return {"code": "0", "data": self.index}

    def public_get_public_funding_rate(self, params: Any) -> Any:
        return {"code": "0", "data": self.rate}

    def fetch_ohlcv(self, symbol: str, timeframe: str, since: int, limit: int) -> Any:
        hour = 3_600_000
        start = int((AS_OF - timedelta(hours=250)).timestamp() * 1000)
        opened = [start + n * hour for n in range(251) if n not in HOLE]
        return [[one, 100.0, 110.0, 90.0, 105.0, 7.0] for one in opened if since <= one < since + limit * hour]

    def fetch_funding_rate_history(self, symbol: str, since: None, limit: int, params: Any) -> Any:
        """The newest rates before an instant, oldest first, as ccxt sorts them."""
        step = 8 * 3_600_000
        start = int((AS_OF - timedelta(hours=2000)).timestamp() * 1000)
        paid = [start + n * step for n in range(260)]
        rates = [{"timestamp": one, "fundingRate": 1e-4, "info": {}} for one in paid if one < int(params["after"])]
        return rates[-limit:]
