"""Work on other processors by Ray: a `map` whose results are those of Python's own.

Ray is an extra. It is imported when a cluster is joined, never before, and told not to report its
usage to anybody. A function goes to every process once, its items one after the other; what a lost
process or machine was doing is done again elsewhere, and its results are taken once, in order.
"""

from __future__ import annotations

import math
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from itertools import islice
from typing import Any, TypeVar

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.files import exists, scratch_folder

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_RETRIES = 5
"""How often a task is begun again after its process or machine was lost."""

DECISIVE = ("focalloop", "numpy", "scipy", "numba", "onnxruntime")
"""Packages on which results depend to the last bit; they are equal everywhere, as Python is."""

_TASKS_PER_PROCESSOR = 2
"""Given out at a time, so that a processor finds its next item waiting."""

_LOOK_S = 1.0
"""How often it is asked whether the head node is still there."""

_HEAD_S = 5.0
"""How long the head node may take to accept a connection."""

_ANSWER_S = 60.0
"""How long a machine may take to start its first process and say what it runs."""

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # pages of a log where a machine is lost
}
"""Environment in which Ray reports to nobody, and prints nothing in a command's place."""

LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Makes Ray bind to 127.0.0.1 on every system, as it does by itself on Windows and macOS."""


class ClusterError(FocalloopError):
    """A cluster cannot be used; the text says why and what to do."""


class ClusterLostError(ClusterError):
    """The head node does not answer any more, and what was under way is lost."""


class Cluster:
    """The processors of a Ray cluster; `joined` gives one.

    Attributes
    ----------
    processors : int
        Of all its machines together.
    """

    def __init__(self, ray: Any, address: str) -> None:  # noqa: ANN401 - a module without types
        self._ray = ray
        self._address = address
        self._functions: dict[Callable[..., Any], Any] = {}
        self._look_again_s = 0.0
        alive = [node for node in ray.nodes() if node["Alive"]]
        self._sizes = [int(node["Resources"].get("CPU", 0)) for node in alive]
        self.processors = sum(self._sizes)

    def map(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        processors: int = 1,
        gpus: int = 0,
        together: int = 1,
    ) -> Iterator[Result]:
        """Yield ``function(item)`` of each item, in their order, as `map` does.

        Parameters
        ----------
        function : callable
            Of an installed module, or an object of one; it is pickled once, and called any number
            of times in each process.
        items : iterable
            Taken when a processor is free for them.
        processors, gpus : int, optional
            What one call needs, on one machine.
        together : int, optional
            Items that go and come as one.

        Raises
        ------
        ClusterError
            No machine has as many processors, or a task was lost time and again.
        ClusterLostError
            The head node is gone.
        FocalloopError
            What `function` raised.
        """
        if max(self._sizes) < processors:
            raise ClusterError(
                f"a task needs {processors} processors, and no machine of the cluster has more "
                f"than {max(self._sizes)}: give fewer --threads"
            )
        self._look_for_head()
        ray = self._ray
        task = ray.remote(_called).options(
            num_cpus=processors, num_gpus=gpus, max_retries=MAX_RETRIES
        )
        if function not in self._functions:
            self._functions[function] = ray.put(function)
        shared = [self._functions[function]]  # in a list, Ray hands on the reference itself
        room = _TASKS_PER_PROCESSOR * max(1, self.processors // processors)
        remaining = _numbered(items, together)
        running: dict[Any, int] = {}
        finished: dict[int, list[Result]] = {}
        following = 0
        # Where this ends early, what runs is left to end by itself or with the command: a task that
        # is cancelled at the moment of its answer makes Ray abort the process.
        while True:
            for number, some in islice(remaining, room - len(running)):
                running[task.remote(shared, some)] = number
            if not running:
                return
            for each in self._arrived(list(running)):
                finished[running.pop(each)] = self._result(each)
            while following in finished:
                yield from finished.pop(following)
                following += 1

    def map_evenly(
        self, function: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[Result]:
        """Do as `map` does with items that are there already, in one task per processor."""
        share = math.ceil(len(items) / max(1, self.processors))
        return self.map(function, items, together=max(1, share))

    def check_sees(self, paths: Sequence[str]) -> None:
        """Find out whether all machines see the same files.

        Parameters
        ----------
        paths : sequence of str
            Absolute, one of them with a name that no machine has by chance.

        Raises
        ------
        ClusterError
            A machine does not.
        """
        for name, missing in _answers(self._ray, _missing, paths):
            if missing:
                raise ClusterError(
                    f"the machine {name} of the cluster does not see {missing[0]}: put it where "
                    "all its machines do, such as on NFS"
                )

    def _arrived(self, running: Sequence[Any]) -> list[Any]:
        """Wait for one of the tasks that are running."""
        while True:
            self._look_for_head()
            arrived: list[Any] = self._ray.wait(running, timeout=_LOOK_S)[0]
            if arrived:
                return arrived

    def _look_for_head(self) -> None:
        """Find out now and then whether the head node is there.

        Without it, tasks go on for a minute, or wait; then Ray ends this very process.
        """
        if time.monotonic() > self._look_again_s:
            _check_listens(self._address, ClusterLostError)
            self._look_again_s = time.monotonic() + _LOOK_S

    def _result(self, task: Any) -> Any:  # noqa: ANN401 - a reference of Ray, and what it holds
        errors = self._ray.exceptions
        try:
            return self._ray.get(task)
        except errors.RayTaskError as error:
            if isinstance(error.cause, FocalloopError):
                raise error.cause from None
            raise
        except errors.RayError as error:
            raise ClusterError(
                f"a task was lost {MAX_RETRIES + 1} times ({_in_a_line(error)}): look for what "
                "ends its processes, such as too little memory"
            ) from None


@contextmanager
def joined(address: str | None = None, *, packages: Iterable[str] = ()) -> Iterator[Cluster]:
    """Join a Ray cluster for the duration, or start one of this machine's processors.

    Parameters
    ----------
    address : str or None, optional
        ``HOST:PORT`` of the head node, or ``auto`` for the cluster of which this machine is a part.
        None starts one that nobody else can reach, and ends it again.
    packages : iterable of str, optional
        Further packages that must be of equal versions everywhere, beside `DECISIVE`.

    Raises
    ------
    ClusterError
        The extra is not installed, there is no such cluster, or it runs other versions.
    """
    if find_spec("ray") is None:
        raise ClusterError("--ray needs the package ray: pip install 'focalloop[scale]'")
    if address is not None and "://" in address:
        raise ClusterError(
            f"{address} is no address of a head node: give HOST:PORT, on a machine of the cluster"
        )
    if address not in (None, "auto"):
        _check_listens(str(address), ClusterError)
    os.environ.update(QUIET)
    if address is None:
        # On a machine of several users, work for a cluster may be anything that its owner may do.
        os.environ.update(LOOPBACK, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
    import ray

    alone: dict[str, Any] = {"address": "local", "include_dashboard": False}
    with scratch_folder() as scratch:
        settings = alone | {"_temp_dir": str(scratch)} if address is None else {"address": address}
        try:
            with _kept_signals():
                ray.init(**settings, log_to_driver=False, logging_level="ERROR")
        except Exception as error:  # Ray raises whatever it likes here
            if address is None:
                raise ClusterError(f"cannot start a Ray cluster: {_in_a_line(error)}") from None
            raise ClusterError(
                f"cannot join the cluster at {address}: {_in_a_line(error)}; is its Ray of the "
                "same version, and its token here (docs/scaling.md)?"
            ) from None
        try:
            _check_versions(ray, (*DECISIVE, *packages))
            yield Cluster(ray, ray.get_runtime_context().gcs_address)
        finally:
            ray.shutdown()


@contextmanager
def _kept_signals() -> Iterator[None]:
    """Put back what Ray makes of SIGTERM."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


def _check_versions(ray: Any, packages: Sequence[str]) -> None:  # noqa: ANN401 - as above
    """Ask every machine what it runs, before anything else is sent there.

    Raises
    ------
    ClusterError
        A machine has another version of something, or does not answer.
    """

    def found(packages: Sequence[str]) -> dict[str, str]:
        # Travels with its code, as a function in a function: there may be no focalloop to import.
        from importlib.metadata import PackageNotFoundError, version
        from platform import python_version

        versions = {"Python": python_version()}
        for name in packages:
            try:
                versions[name] = version(name)
            except PackageNotFoundError:
                versions[name] = "none"
        return versions

    here = found(packages)
    for name, there in _answers(ray, found, packages):
        for package, wanted in here.items():
            if there[package] != wanted:
                raise ClusterError(
                    f"the machine {name} of the cluster has {package} {there[package]}, and this "
                    f"one {wanted}: install the same version on both"
                )


def _answers(
    ray: Any,  # noqa: ANN401 - as above
    question: Callable[[Item], Result],
    about: Item,
) -> Iterator[tuple[str, Result]]:
    """Call a function on every machine; yield the machine's name with each answer.

    Raises
    ------
    ClusterError
        A machine does not answer.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ask = ray.remote(question)
    machines = [node for node in ray.nodes() if node["Alive"]]
    asked = [
        ask.options(
            num_cpus=0,
            max_retries=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
        ).remote(about)
        for node in machines
    ]
    for node, answer in zip(machines, asked, strict=True):
        name = node["NodeManagerHostname"]
        try:
            yield name, ray.get(answer, timeout=_ANSWER_S)
        except ray.exceptions.RayError as error:
            raise ClusterError(
                f"the machine {name} of the cluster does not answer ({_in_a_line(error)}): see "
                "what its Ray is at, or take it out"
            ) from None


def _check_listens(address: str, error: type[ClusterError]) -> None:
    """Raise `error` where no head node listens at an address."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_HEAD_S).close()
    except (OSError, ValueError) as cause:
        raise error(
            f"no head node of a Ray cluster answers at {address} ({_in_a_line(cause)}): start it "
            "again, or give the address of another"
        ) from None


def _missing(paths: Sequence[str]) -> list[str]:
    return [path for path in paths if not exists(path)]


def _called(shared: list[Any], items: list[Any]) -> list[Any]:
    """Call a function for some items, in a process of the cluster."""
    function = _loaded(shared[0])
    return [function(item) for item in items]


@lru_cache(maxsize=16)
def _loaded(reference: Any) -> Any:  # noqa: ANN401 - whatever is shared
    """Fetch what is shared, once for each process: a network takes longer to load than to use."""
    import ray

    return ray.get(reference)


def _numbered(items: Iterable[Item], together: int) -> Iterator[tuple[int, list[Item]]]:
    """Yield items in groups of as many, numbered from 0."""
    rest = iter(items)
    return enumerate(iter(lambda: list(islice(rest, together)), []))


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
