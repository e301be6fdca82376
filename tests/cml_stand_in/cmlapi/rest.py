"""The exception that the client of a workspace raises, by its real name and place."""

from __future__ import annotations


class ApiException(Exception):
    """The workspace refused."""

    def __init__(self, status: int | None = None, reason: str | None = None) -> None:
        super().__init__(f"({status}) Reason: {reason}")
        self.status = status
        self.reason = reason
