"""The minimum of a joint fit nearby, compiled: damped Gauss-Newton over the parameters of all slices at once.

JᵀJ is block tridiagonal, since only neighbours share a penalty, and so is its Cholesky factor: a step costs no more
than one for each slice.
"""

from math import sqrt

import numpy as np
from numpy import ndarray

from greekdrift.greeks.compiled import strict
from greekdrift.surface.calibrate import CALM, N, carried, copied, moved, tangent
from greekdrift.surface.joint_terms import accumulate

ITERATIONS = 120


@strict
def carry_cross(cross: ndarray, by: ndarray, later: ndarray, half: ndarray, inner: ndarray) -> None:
    """Tᵀ C T′ for the tangents of two neighbours, into `inner`."""
    for i in range(N):
        for j in range(N):
            total = 0.0
            for k in range(N):
                total += cross[i, k] * later[k, j]
            half[i, j] = total
    for i in range(N):
        for j in range(N):
            total = 0.0
            for k in range(N):
                total += by[k, i] * half[k, j]
            inner[i, j] = total


@strict
def solve_blocks(
    normal: ndarray, slope: ndarray, cross: ndarray, damping: float, step: ndarray, lower: ndarray, below: ndarray
) -> bool:
    """Step of the block tridiagonal (JᵀJ + damping · diag) step = −Jᵀr by Cholesky; False if not positive definite."""
    n = normal.shape[0]
    for s in range(n):
        if s > 0:
            for c in range(N):
                for i in range(N):
                    total = cross[s - 1, i, c]
                    for k in range(i):
                        total -= lower[s - 1, i, k] * below[s, k, c]
                    below[s, i, c] = total / lower[s - 1, i, i]
        for i in range(N):
            for j in range(i + 1):
                total = normal[s, i, j]
                if i == j:
                    total += damping * (normal[s, i, i] + 1e-9)
                if s > 0:
                    for k in range(N):
                        total -= below[s, k, i] * below[s, k, j]
                for k in range(j):
                    total -= lower[s, i, k] * lower[s, j, k]
                if i > j:
                    lower[s, i, j] = total / lower[s, j, j]
                elif total > 0.0:
                    lower[s, i, i] = sqrt(total)
                else:
                    return False
        for i in range(N):
            total = -slope[s, i]
            if s > 0:
                for k in range(N):
                    total -= below[s, k, i] * step[s - 1, k]
            for k in range(i):
                total -= lower[s, i, k] * step[s, k]
            step[s, i] = total / lower[s, i, i]
    for back in range(n):
        s = n - 1 - back
        for down in range(N):
            i = N - 1 - down
            total = step[s, i]
            if s + 1 < n:
                for c in range(N):
                    total -= below[s + 1, i, c] * step[s + 1, c]
            for k in range(i + 1, N):
                total -= lower[s, k, i] * step[s, k]
            step[s, i] = total / lower[s, i, i]
    return True


@strict
def minimise(
    all_p: ndarray,
    scale: ndarray,
    quotes: ndarray,
    offsets: ndarray,
    prior: ndarray,
    grids: ndarray,
    kappa: float,
    box: ndarray,
    precision: float,
) -> int:
    """Improve the parameters of all slices to the minimum nearby; the number of iterations."""
    n = scale.size
    normal, slope, cross = np.empty((2, n, N, N)), np.empty((2, n, N)), np.empty((2, n, N, N))
    inner, down, inner_cross = np.zeros((n, N, N)), np.zeros((n, N)), np.zeros((n, N, N))
    by, lower, below = np.zeros((n, N, N)), np.zeros((n, N, N)), np.zeros((n, N, N))
    step, trial, half = np.zeros((n, N)), np.zeros((n, N)), np.zeros((N, N))
    at = 0
    cost = accumulate(all_p, scale, quotes, offsets, prior, grids, kappa, normal[0], slope[0], cross[0])
    damping = 1e-2
    is_new = True
    for iteration in range(ITERATIONS):
        if is_new:
            for s in range(n):
                tangent(all_p[s], slope[at, s], box[s, 0], box[s, 1], by[s])
                carried(normal[at, s], slope[at, s], by[s], half, inner[s], down[s])
            for s in range(n - 1):
                carry_cross(cross[at, s], by[s], by[s + 1], half, inner_cross[s])
            is_new = False
        if not solve_blocks(inner, down, inner_cross, damping, step, lower, below):
            damping = 10.0 * damping + 1e-9
            continue
        for s in range(n):
            moved(all_p[s], step[s], box[s, 0], box[s, 1], trial[s])
        to = 1 - at
        found = accumulate(trial, scale, quotes, offsets, prior, grids, kappa, normal[to], slope[to], cross[to])
        if found < cost:
            is_done = cost - found < precision * cost + 1e-20 and damping <= CALM
            for s in range(n):
                copied(trial[s], all_p[s])
            cost, at, is_new = found, to, True
            damping = max(0.1 * damping, 1e-12)
            if is_done:
                return iteration + 1
        else:
            damping = max(4.0 * damping, 1e-4)
            if damping > 1e6:
                return iteration + 1
    return ITERATIONS
