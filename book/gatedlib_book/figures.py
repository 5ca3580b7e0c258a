"""What several chapters draw alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes

from gatedlib_book.estimates import Estimate


def with_interval(ax: Axes, x: npt.ArrayLike, estimate: Estimate, **style: Any) -> None:
    """Draw numbers with their 95 % intervals.

    Args:
        ax: where to draw.
        x: the place of each number.
        estimate: the numbers.
        **style: options of matplotlib's `errorbar`.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from gatedlib_book.estimates import exact
        >>> from gatedlib_book.figures import with_interval
        >>> with_interval(Figure().subplots(), [1, 2], exact([0.5, 0.6]), color="black")
    """
    lengths = np.abs(np.stack([estimate.low, estimate.high]) - estimate.value)
    ax.errorbar(x, estimate.value, lengths, **{"marker": "o", "markersize": 4, "capsize": 2, **style})


def bar_with_spread(ax: Axes, place: float, samples: xr.DataArray, width: float, **look: Any) -> None:
    """Draw the mean of some samples as a bar, and one standard deviation to either side as a line."""
    ax.bar(place, samples.mean(), width, yerr=samples.std(), error_kw={"linewidth": 0.8}, **look)
