"""The decorator of compiled kernels, whose results are cached where that is possible.

Numba keeps compiled code in ``__pycache__`` beside the source, or in the user's cache folder where
the installation is read-only. A cache only saves time: where none can be used (an unwritable home,
a full disk), kernels are compiled in every process, and one warning says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import FunctionCache

Function = TypeVar("Function", bound=Callable[..., Any])

_log = logging.getLogger("focalloop.emulator")
_reported = False


def kernel(function: Function) -> Function:
    """Compile a function for its first arguments, without the lock of the interpreter."""
    compiled: Any = numba.njit(nogil=True)(function)
    try:
        # What `njit(cache=True)` does, with a cache that may fail.
        compiled._cache = _Cache(function)  # type: ignore[no-untyped-call]
    except (RuntimeError, OSError):
        _report("no folder for it can be written")
    return cast(Function, compiled)


class _Cache(FunctionCache):
    """Numba's cache of one function, which replaces what is damaged and reports what fails."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:  # noqa: ANN401
        try:
            return super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]
        except Exception:  # unpickling a damaged file may raise anything
            with suppress(OSError):
                self.flush()  # type: ignore[no-untyped-call]
            return None

    def save_overload(self, sig: Any, data: Any) -> None:  # noqa: ANN401
        try:
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]
        except Exception as error:  # as above: the index is read first
            _report(error)


def _report(why: object) -> None:
    global _reported
    if not _reported:
        _reported = True
        _log.warning(
            "kernels are compiled without a cache, which takes seconds in every "
            "process (%s): set NUMBA_CACHE_DIR to a new folder",
            why,
        )
