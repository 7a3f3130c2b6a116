"""Bundles served to other programs, from start to Ctrl-C: ``focalloop serve --inference``."""

from __future__ import annotations

import ctypes
from contextlib import ExitStack, suppress

from focalloop.host.cli.output import print_json, print_notice
from focalloop.host.cli.processors import cluster_for
from focalloop.host.cli.shared_options import setting
from focalloop.host.service.binding import address_of, check_exposure, host_names, listen

_MALLOC_OPTIONS = {-1: 256 << 20, -3: 32 << 20, -8: 1}
"""``M_TRIM_THRESHOLD``, ``M_MMAP_THRESHOLD`` (its maximum) and ``M_ARENA_MAX`` of malloc.h."""


def run_inference(
    bundle: str | None,
    host: str,
    port: int | None,
    token: str | None,
    json: bool,
    ray: bool,
    address: str | None,
) -> None:
    """Serve one bundle, or all shipped ones, until a signal asks to end.

    Parameters
    ----------
    bundle : str or None
        Name or path of the only one.
    host, port, token : str or int or None
        As in `focalloop.host.cli.preview_run.PageSettings`.
    json : bool
        Print one JSON document once requests are answered.
    ray, address : bool or str or None
        As in `cluster_for`, whose processors then rebuild the windows.
    """
    from focalloop.host.inference.api import create_inference_app
    from focalloop.host.inference.models import ModelServer
    from focalloop.host.reconstruction.bundle import Bundle
    from focalloop.host.service.server import Service
    from focalloop.models import zoo

    with setting("--http-host"):
        check_exposure(host, token)
    with setting("--bundle"):
        bundles = [Bundle.load(name) for name in ([bundle] if bundle else zoo.BUNDLES)]
    _keep_freed_memory()
    with ExitStack() as stack:
        sock = stack.enter_context(listen(host, port))
        cluster = stack.enter_context(cluster_for(ray, address))
        models = ModelServer(bundles, each=None if cluster is None else cluster.map_evenly)
        stack.callback(models.close)
        url = address_of(sock)
        app = create_inference_app(models, token=token, host_names=host_names(host))
        print_notice(
            f"Models {', '.join(models.models)}\n"
            f"at     {url}v2/models/NAME/infer, by the Open Inference Protocol. Ctrl-C stops all."
        )
        if json:
            print_json({"url": url, "models": list(models.models)})
        Service(app, sock).run()


def _keep_freed_memory() -> None:
    """Let glibc keep what requests and answers free for the next ones.

    Otherwise it goes back to the system, which clears every page anew for each of them.
    """
    with suppress(AttributeError, OSError, TypeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        for option, value in _MALLOC_OPTIONS.items():
            mallopt(option, value)
