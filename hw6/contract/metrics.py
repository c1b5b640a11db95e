"""What kind of thing a metric is. A plain line of explanation stands for a number or a truth value.

    metrics={"error": "mean squared error", "verdict": hw6.Text("what the theorem says"), "counts": hw6.Counts("...")}

The kinds are texts, namely that line of explanation, so that a table of metrics is a table of texts.
"""

from __future__ import annotations


class Text(str):
    """A metric that is a text, or missing."""

    __slots__ = ()


class Counts(str):
    """A metric that is a histogram: whole numbers, one for each bin, or missing."""

    __slots__ = ()
