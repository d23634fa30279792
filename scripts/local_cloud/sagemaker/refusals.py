"""How the rules of this package say no, without knowing how an error travels."""

from __future__ import annotations


class Refused(ValueError):
    """AWS refuses this, with a ValidationException."""


class NotEmulated(ValueError):
    """AWS does this and the local cloud does not; names it and, if there is one, a way around."""
