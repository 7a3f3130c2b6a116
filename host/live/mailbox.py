"""A mailbox of one item, through which one thread of a live session hands work to the next."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Holds one item; an item that is not taken in time is replaced by a newer one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: T | None = None
        self._closed = False

    def put(self, item: T) -> T | None:
        """Put an item in and return the untaken item that it replaced, if there was one."""
        with self._changed:
            replaced, self._item = self._item, item
            self._changed.notify_all()
            return replaced

    def wait_for_item(self) -> bool:
        """Wait for an item and leave it there; False once the mailbox is closed."""
        with self._changed:
            while self._item is None and not self._closed:
                self._changed.wait()
            return not self._closed

    def take(self) -> T | None:
        """Wait for an item and take it; None once the mailbox is closed."""
        with self._changed:
            self.wait_for_item()
            item, self._item = self._item, None
            self._changed.notify_all()
            return None if self._closed else item

    def wait_until_empty(self) -> None:
        """Wait until what is in it has been taken, or the mailbox is closed."""
        with self._changed:
            while self._item is not None and not self._closed:
                self._changed.wait()

    def close(self) -> None:
        """Make every present and later `take` return None."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
