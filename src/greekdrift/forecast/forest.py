"""Many small regression trees as five arrays: read from scikit-learn once, evaluated without it ever after.

A node sends a row to `left` where its feature is at most the threshold, else to `right`; a leaf sends it to itself.
The value of a forest is its start plus the sum of one leaf of each of its trees.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forests:
    """Forests of equally many trees; `roots[forest, tree]` are node numbers."""

    feature: Int[ndarray, " node"]
    threshold: Float[ndarray, " node"]
    left: Int[ndarray, " node"]
    right: Int[ndarray, " node"]
    value: Float[ndarray, " node"]
    roots: Int[ndarray, "forest tree"]
    start: Float[ndarray, " forest"]
    depth: int

    def __post_init__(self) -> None:
        """Node numbers read from a file must be nodes."""
        nodes = self.value.size
        for name in ("left", "right", "roots"):
            found = getattr(self, name)
            if found.size and not 0 <= found.min() <= found.max() < nodes:
                raise ValueError(f"{name} names a node that is not there")

    def predict(self, rows: Float[ndarray, "forest row feature"]) -> Float[ndarray, "forest row"]:
        """Value of each forest at its own rows."""
        forests, count = rows.shape[:2]
        node = np.broadcast_to(self.roots[:, :, None], (*self.roots.shape, count))
        which, row = np.arange(forests)[:, None, None], np.arange(count)
        for _ in range(self.depth):
            is_left = rows[which, row, self.feature[node]] <= self.threshold[node]
            node = np.where(is_left, self.left[node], self.right[node])
        total: ndarray = self.start[:, None] + self.value[node].sum(axis=1)
        return total


def forests(models: Sequence[Any]) -> Forests:
    """The trees of fitted `HistGradientBoostingRegressor`s, all of the same number of iterations, numbers alone."""
    parts, roots, offset = [], [], 0
    for model in models:
        trees = [stage[0].nodes for stage in model._predictors]  # noqa: SLF001 - the trees have no public door
        roots.append(offset + np.cumsum([0] + [len(tree) for tree in trees[:-1]]))
        parts += [_linked(tree) for tree in trees]
        offset += sum(len(tree) for tree in trees)
    starts = np.cumsum([0] + [len(part["value"]) for part in parts[:-1]])
    joined = {name: np.concatenate([part[name] for part in parts]) for name in ("feature", "threshold", "value")}
    onward = {
        name: np.concatenate([part[name] + at for part, at in zip(parts, starts, strict=True)])
        for name in ("left", "right")
    }
    return Forests(
        **joined,
        **onward,
        roots=np.array(roots, dtype=np.int64),
        start=np.array([float(np.ravel(model._baseline_prediction)[0]) for model in models]),  # noqa: SLF001
        depth=max(int(part["depth"].max()) for part in parts),
    )


def _linked(nodes: ndarray) -> dict[str, ndarray]:
    itself = np.arange(len(nodes))
    is_leaf = nodes["is_leaf"].astype(bool)
    return {
        "feature": np.where(is_leaf, 0, nodes["feature_idx"]).astype(np.int64),
        "threshold": np.where(is_leaf, 0.0, nodes["num_threshold"]),
        "left": np.where(is_leaf, itself, nodes["left"]).astype(np.int64),
        "right": np.where(is_leaf, itself, nodes["right"]).astype(np.int64),
        "value": np.where(is_leaf, nodes["value"], 0.0),
        "depth": nodes["depth"].astype(np.int64),
    }
