"""A small client of the server: sends a chain and accounts, gets forecasts and decisions as plain values."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import httpx

from greekdrift.book import Account, Chain
from greekdrift.errors import GreekdriftError, InputError
from greekdrift.serve.wire import account_values, chain_values


class Client:
    """A connection to a server at `address`, such as http://127.0.0.1:8765.

    A request that the server cannot use raises `InputError` with every problem; a server that is not ready, busy or
    gone raises `GreekdriftError`. Whoever rebalances on the answers treats any error as HOLD.
    """

    def __init__(self, address: str, *, timeout_seconds: float = 60.0, transport: Any = None) -> None:
        self._http = httpx.Client(base_url=address, timeout=timeout_seconds, transport=transport, trust_env=False)

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def is_ready(self) -> bool:
        """Whether the server ran its real path and is not draining."""
        try:
            return self._http.get("/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    def snapshot(self, chain: Chain) -> Mapping[str, Any]:
        """Send the chain of now; the server decides about its own book and keeps the answer."""
        return self._post("/v1/snapshot", chain, None)

    def forecast(self, chain: Chain | None = None, accounts: Sequence[Account] | None = None) -> Mapping[str, Any]:
        """The forecast of the latest snapshot, or of a chain and accounts (the server's book without them)."""
        return self._get("/v1/forecast") if chain is None else self._post("/v1/forecast", chain, accounts)

    def propose(
        self,
        chain: Chain | None = None,
        accounts: Sequence[Account] | None = None,
        *,
        previous_addons: Mapping[str, Any] | None = None,
    ) -> Mapping[str, Any]:
        """The decisions about the latest snapshot, or about a chain and accounts.

        `previous_addons` are the add-ons' states by account: `addon.state` of the decisions of last time.
        """
        if chain is None:
            return self._get("/v1/propose")
        return self._post("/v1/propose", chain, accounts, previous_addons=previous_addons)

    def _get(self, path: str) -> Mapping[str, Any]:
        return self._values(lambda: self._http.get(path))

    def _post(
        self,
        path: str,
        chain: Chain,
        accounts: Sequence[Account] | None,
        *,
        previous_addons: Mapping[str, Any] | None = None,
    ) -> Mapping[str, Any]:
        sent: dict[str, Any] = {"chain": chain_values(chain)}
        if accounts is not None:
            sent["accounts"] = account_values(accounts)
        if previous_addons is not None:
            sent["previous_addons"] = dict(previous_addons)
        return self._values(lambda: self._http.post(path, json=sent))

    def _values(self, ask: Any) -> Mapping[str, Any]:
        try:
            response: httpx.Response = ask()
            values: Mapping[str, Any] = response.json()
        except (httpx.HTTPError, ValueError) as problem:
            raise GreekdriftError(f"the server at {self._http.base_url} gave no answer: {problem}.") from None
        if response.status_code < 400:
            return values
        error = values.get("error", {})
        problems = "".join(f"\n  {one['place']}: {one['message']}" for one in error.get("problems", ()))
        kind = InputError if response.status_code in (413, 422) else GreekdriftError
        raise kind(f"the server refused: {error.get('message', response.status_code)}{problems}")
