"""Where a command works: in its own process, or by ``--ray`` on the processors of a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from focalloop.host.cli.output import activity, counted, print_notice
from focalloop.host.cluster import Cluster, joined


@contextmanager
def cluster_for(
    ray: bool, address: str | None, packages: Iterable[str] = ()
) -> Iterator[Cluster | None]:
    """Join the cluster that ``--ray`` and ``--address`` name; None without ``--ray``.

    Parameters
    ----------
    ray, address : bool or str or None
        The two options.
    packages : iterable of str, optional
        As in `joined`, whose errors it raises.
    """
    if not ray:
        yield None
        return
    with ExitStack() as stack:
        with activity("starting Ray" if address is None else f"joining the cluster at {address}"):
            cluster = stack.enter_context(joined(address, packages=packages))
        print_notice(f"Ray with {counted(cluster.processors, 'processor')}")
        yield cluster
