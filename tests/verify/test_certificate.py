"""Certificates: canonical bytes, read back, and refused once altered."""

import json

import pytest

from greekdrift.book import Finding, Outcome, canonical
from greekdrift.errors import InputError
from greekdrift.verify import Certificate
from greekdrift.verify.figure import figure


@pytest.fixture(scope="module")
def certificate(world) -> Certificate:
    orders = (world.order("BTC-31JAN26-100000-C", 0.3), world.order("BTC-PERPETUAL", -8_500.0, leg=1))
    return world.judge(world.propose(*orders)).certificate


def test_it_reads_back_to_the_same(certificate: Certificate) -> None:
    text = certificate.bytes()
    again = Certificate.read(text)
    assert again == certificate
    assert again.bytes() == text
    assert again.outcome is Outcome.BASELINE
    assert isinstance(again.findings[0], Finding)
    assert text == canonical(json.loads(text))


def test_any_alteration_is_refused(certificate: Certificate) -> None:
    plain = json.loads(certificate.bytes())
    for name, value in plain.items():
        altered = {"cost_usd": value + 1.0 if name == "cost_usd" else 0, "account_id": "x", "outcome": "VERIFIED_ML"}
        changed = altered.get(name, [] if isinstance(value, list) else value)
        if changed != value:
            with pytest.raises(InputError):
                Certificate.read(json.dumps({**plain, name: changed}))
    plain["findings"][0]["passed"] = False
    with pytest.raises(InputError, match="altered"):
        Certificate.read(json.dumps(plain))


def test_what_is_none_is_refused() -> None:
    for text in ("", "[]", "{}", '{"format": 1}', "null"):
        with pytest.raises(InputError, match="no certificate"):
            Certificate.read(text)


def test_figures_do_not_carry_the_last_bits() -> None:
    exact = 0.1 + 0.2
    assert figure(exact, 0.3) == 0.3
    assert figure(exact - 0.3, 0.6) == 0.0
    assert figure(123_456.789_012_345, 1e6) == 123_456.79
    assert figure(0.0, 0.0) == 0.0
    assert figure(-1e-20, 1.0) == 0.0
    assert str(figure(-1e-20, 1.0)) == "0.0"
