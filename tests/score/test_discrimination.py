import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from greekdrift.errors import InputError
from greekdrift.score.discrimination import area_under_curve


def test_the_area_is_that_of_the_independent_package() -> None:
    random = np.random.default_rng(0)
    happened = random.uniform(size=200) < 0.3
    score = (random.normal(size=200) + happened).round(1)
    assert area_under_curve(score, happened) == pytest.approx(roc_auc_score(happened, score), abs=1e-12)


def test_both_outcomes_must_occur() -> None:
    with pytest.raises(InputError, match="both outcomes"):
        area_under_curve([0.1, 0.2], [1, 1])
    with pytest.raises(InputError, match="no numbers"):
        area_under_curve([0.1, np.nan], [1, 0])
