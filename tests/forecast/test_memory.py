from dataclasses import replace

import numpy as np
import pytest

from greekdrift.forecast.memory import memory, moves

TAUS = np.array([24.0, 168.0])


def _slow(panel, row, tau):
    """The definition, one increment at a time."""
    hours, shape = panel.hours, panel.state.shape[1:]
    power, mass, news = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for i in range(1, row + 1):
        step = panel.state[i] - panel.state[i - 1]
        if panel.is_after_hole[i]:
            continue
        fade = np.exp(-(hours[row] - hours[i]) / tau)
        seen = np.isfinite(step)
        d = np.where(seen, step, 0.0)
        power, mass, news = power + fade * d**2, mass + fade * seen * (hours[i] - hours[i - 1]), news + fade * d
    return power, mass, news


def _torn(make_panel):
    panel = make_panel(rows=700)
    state = panel.state.copy()
    state[100:103, 1] = np.nan
    late = np.where(np.arange(700) >= 300, np.timedelta64(40, "D"), np.timedelta64(0, "D"))
    return replace(panel, state=state, as_of=panel.as_of + late, known_at=panel.known_at + late)


@pytest.mark.parametrize("row", [0, 1, 101, 255, 256, 257, 299, 300, 301, 699])
def test_equals_the_definition_across_holes_and_missing_values(row, make_panel):
    panel = _torn(make_panel)
    found = memory(moves(panel), TAUS)
    for at, tau in enumerate(TAUS):
        for name, slow in zip(("power", "mass", "news"), _slow(panel, row, tau), strict=True):
            np.testing.assert_allclose(getattr(found, name)[row, at], slow, rtol=1e-10, atol=1e-16)


def test_the_last_row_alone_is_the_last_of_all_rows(make_panel):
    panel = _torn(make_panel)
    whole, last = memory(moves(panel), TAUS), memory(moves(panel), TAUS, last_only=True)
    for name in ("power", "mass", "news"):
        np.testing.assert_allclose(getattr(last, name), getattr(whole, name)[-1], rtol=1e-9, atol=1e-16)


def test_going_on_step_by_step_is_remembering_more_rows(make_panel):
    panel = make_panel(rows=300)
    short = panel.until(panel.known_at[298])
    gone_on = memory(moves(short), TAUS, last_only=True).after(
        panel.state[299] - panel.state[298], panel.hours[299] - panel.hours[298], TAUS
    )
    whole = memory(moves(panel), TAUS, last_only=True)
    for name in ("power", "mass", "news"):
        np.testing.assert_allclose(getattr(gone_on, name), getattr(whole, name), rtol=1e-10, atol=1e-18)


def test_power_over_mass_is_the_variance_an_hour(make_panel):
    panel = make_panel(rows=4000, volatility_of_volatility=0.0)
    found = memory(moves(panel), np.array([2000.0]), last_only=True)
    hourly = found.power[0, :, 0] / found.mass[0, :, 0]
    np.testing.assert_allclose(hourly * 8760.0, 0.25, rtol=0.15)
