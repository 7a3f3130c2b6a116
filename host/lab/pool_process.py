"""The process of the pool, as the gateway keeps it running."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import time
from collections.abc import Callable, Sequence

from focalloop.host.lab.pauses import Pauses

_POLL_S = 0.1
_log = logging.getLogger("focalloop.lab")


class PoolProcess:
    """The pool of a lab, started again when it has ended.

    It ends with the gateway, however that does: nobody looks then.

    Parameters
    ----------
    command : callable
        Returns the command line of a pool that rebuilds so many windows at a time.

    Attributes
    ----------
    restarts : int
        Times that it has ended by itself.
    """

    def __init__(self, command: Callable[[int], Sequence[str]]) -> None:
        self.restarts = 0
        self._command = command
        self._count = 0
        self._keeper: asyncio.Task[None] | None = None

    async def set_count(self, count: int) -> None:
        """Run a pool that rebuilds so many windows at a time; one that does is left alone."""
        if count != self._count:
            await self.stop()
            self._count, self._keeper = count, asyncio.create_task(self._keep(count))

    async def stop(self) -> None:
        """End it; what it rebuilds is lost."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        self._count, self._keeper = 0, None

    async def _keep(self, count: int) -> None:
        pauses = Pauses()
        while True:
            began_s, said = time.monotonic(), "cannot be started"
            try:
                said = f"has ended with exit code {await self._run(count)}"
            except OSError as error:
                said = f"cannot be started ({error.strerror})"
            self.restarts += 1
            pause_s = pauses.next_s(time.monotonic() - began_s)
            _log.error("the pool for rebuilding %s; it is started again in %g s", said, pause_s)
            await asyncio.sleep(pause_s)

    async def _run(self, count: int) -> int:
        with subprocess.Popen(
            self._command(count),
            stdin=subprocess.PIPE,  # its end is the end of the pool
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # which no Ctrl-C reaches, and which is weighed by itself
        ) as process:
            try:
                while process.poll() is None:
                    await asyncio.sleep(_POLL_S)
            finally:
                process.kill()
            return process.returncode
