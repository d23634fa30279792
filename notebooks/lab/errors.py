"""The one error of the lab."""


class LabError(RuntimeError):
    """A step of the lab cannot go on; the message says what was seen and what to do."""
