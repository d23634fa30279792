"""The one exception by which an emulated service answers with an AWS error."""

from __future__ import annotations


class ApiError(Exception):
    """An error answer: code and message as AWS words them, HTTP status 400 unless given."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
