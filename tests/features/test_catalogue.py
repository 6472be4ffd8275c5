"""The table of all features in docs/features.md is what the classes say."""

import importlib
import inspect
import pkgutil
from pathlib import Path

import greekdrift.features
from greekdrift.config import FEATURE_KINDS, resolve
from greekdrift.features.catalogue import BOOK_FEATURES, PANEL, RECORDS, SCHEDULED, markdown
from greekdrift.features.table import FEATURES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "features.md"
ALL = (*FEATURES, *PANEL, *RECORDS, *SCHEDULED, *BOOK_FEATURES)
DEFAULT = (
    "return_6h log_rv_24h log_rv_72h log_rv_168h log_rv_720h jump_share_168h leverage_24h leverage_168h atm_7 atm_30 "
    "atm_180 slope_7_30 slope_30_180 skew_30 curvature_30 variance_premium_7d variance_premium_30d others_atm_30 basis "
    "hour_sin hour_cos weekend_share_6h weekend_share_24h expiry_near"
)


def test_the_page_holds_the_table_of_the_classes() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert markdown() in text, "docs/features.md is stale: python -m greekdrift.features.catalogue prints its table"


def test_every_line_of_a_table_has_as_many_cells() -> None:
    cells = {line.replace(r"\|", "").count("|") for line in markdown().splitlines() if line.startswith("|")}
    assert cells == {8}


def test_every_class_with_a_timing_and_a_source_is_in_the_catalogue() -> None:
    found = set()
    for page in pkgutil.iter_modules(greekdrift.features.__path__):
        module = importlib.import_module(f"greekdrift.features.{page.name}")
        for kind in vars(module).values():
            is_own = inspect.isclass(kind) and kind.__module__ == module.__name__
            if is_own and hasattr(kind, "compute") and not inspect.isabstract(kind) and not kind.__subclasses__():
                found.add(kind)
    protocols = {kind for kind in found if getattr(kind, "_is_protocol", False)}
    assert found - protocols == {type(feature) for feature in ALL}


def test_every_feature_says_what_it_is() -> None:
    for feature in ALL:
        assert all((feature.name, feature.timing, feature.source, feature.unit)), feature
        first = inspect.cleandoc(type(feature).__doc__ or "").splitlines()[0]
        assert first.endswith((".", ":")), f"{type(feature).__name__}: the first line is cut"
    for group in (PANEL, RECORDS, SCHEDULED, BOOK_FEATURES):
        names = [feature.name for feature in group]
        assert len(set(names)) == len(names)


def test_what_every_panel_carries_has_not_changed() -> None:
    assert tuple(feature.name for feature in FEATURES) == tuple(DEFAULT.split())


def test_configurations_can_name_every_feature_of_a_panel() -> None:
    named = {resolve(FEATURE_KINDS, name) for name in FEATURE_KINDS}
    assert named == {type(feature) for feature in (*FEATURES, *PANEL, *RECORDS, *SCHEDULED)}
