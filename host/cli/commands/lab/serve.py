"""``focalloop lab [lab.toml]``: the gateway of a lab, and a worker for each of its boards."""

from __future__ import annotations

import fcntl
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.host.cli.output import print_json, print_notice
from focalloop.host.cli.shared_options import (
    HttpHostOption,
    HttpPortOption,
    JsonOption,
    PublicUrlOption,
    TokenOption,
)

if TYPE_CHECKING:
    from focalloop.host.lab.settings import LabSettings


def serve(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The boards of the lab, as docs/lab.md has it.")
    ] = Path("lab.toml"),
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            file_okay=False,
            help="Folder for sockets, locks and leases.",
            show_default="lab in your state folder",
        ),
    ] = None,
    recordings: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            file_okay=False,
            help="Folder for recordings where the file names none.",
            show_default="recordings in your data folder",
        ),
    ] = None,
    http_host: HttpHostOption = "127.0.0.1",
    http_port: HttpPortOption = None,
    public_url: PublicUrlOption = None,
    token: TokenOption = None,
    json_logs: Annotated[
        bool,
        typer.Option(
            "--json-logs", help="Log requests and events to standard error, as a JSON line each."
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Serve the boards of a lab, each lent to one at a time.

    A board has a worker of its own, which records on if this program crashes, and which the next
    one takes over. SIGHUP reads the file again; Ctrl-C or SIGTERM ends all workers, and leaves
    every board idle under its resting map. `focalloop lab FILE` does the same.

    Example: focalloop lab serve lab.toml --http-host 0.0.0.0 --token SECRET
    """
    from focalloop.host.cli.lab_pool import pool_command
    from focalloop.host.cli.lab_worker import worker_command
    from focalloop.host.cli.preview_run import (
        PageSettings,
        link_to,
        recordings_folder,
        user_folder,
    )
    from focalloop.host.lab.gateway import create_gateway
    from focalloop.host.lab.json_logs import log_as_json
    from focalloop.host.lab.lab import Lab
    from focalloop.host.service.binding import address_of, host_names, listen
    from focalloop.host.service.server import Service

    if json_logs:
        log_as_json()
    page = PageSettings(host=http_host, port=http_port, public_url=public_url, token=token)
    public, secret = page.access()
    folder = (state or user_folder("XDG_STATE_HOME", ".local/state") / "lab").absolute()
    load = partial(_load, file, recordings or recordings_folder())
    lab = Lab(
        load,
        folder,
        lambda board: worker_command(board, folder, json_logs),
        partial(pool_command, folder, json_logs),
    )
    _allow_many_connections()
    with _alone(folder), listen(http_host, http_port) as sock:
        url = link_to(sock, public, secret)
        app = create_gateway(
            lab,
            token=secret,
            host_names=host_names(http_host),
            public_url=public,
            line_host=http_host,
        )
        service = Service(app, sock, on_hangup=lab.reload_soon)
        print_notice(
            f"Lab    {url}" + ("" if public is None else f" in front of {address_of(sock)}")
        )
        if json:
            print_json({"url": url, "boards": list(lab.settings.boards)})
        service.run()


def _load(file: Path, recordings: Path) -> LabSettings:
    """Read the file, and find out whether its maps and bundles are there."""
    from focalloop.host.cli.arguments import check_bundle, load_map
    from focalloop.host.lab.settings import LabSettingsError, load_settings

    settings = load_settings(file, recordings)
    for board in settings.boards.values():
        for key, value, check in (
            ("map", board.map, load_map),
            ("bundle", board.bundle, check_bundle),
        ):
            try:
                if value is not None:
                    check(value)
            except (FocalloopError, typer.BadParameter) as error:
                raise LabSettingsError(
                    f"{file}: boards.{board.name}.{key} = {value!r} cannot be used: {error}"
                ) from None
    return settings


def _allow_many_connections() -> None:
    """Have as many descriptors as the system grants: each connection takes one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # no limit, on some systems
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock of the lab, so that no second service has the same boards."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        file = (folder / "gateway.lock").open("w")
    except OSError as error:
        raise FocalloopError(
            f"cannot keep the state of the lab in {folder} ({error.strerror}): give another --state"
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise FocalloopError(
                f"another lab service runs with the state folder {folder}: stop that one, or give "
                "another --state for other boards"
            ) from None
        file.write(str(os.getpid()))
        file.flush()
        yield
