"""A live session with its page, from start to Ctrl-C: what `live` and `serve` share."""

from __future__ import annotations

import ctypes
import os
import secrets
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from focalloop.host.cli.output import print_json, print_notice, print_warning, progress_bar
from focalloop.host.cli.shared_options import setting
from focalloop.host.live.state import LiveState, Phase
from focalloop.host.service.binding import address_of, check_exposure, host_names, listen
from focalloop.host.service.public_url import PublicUrl

if TYPE_CHECKING:
    from focalloop.host.live.session import LiveSession
    from focalloop.host.recording.store import RecordingStore

_POLL_S = 0.1

_M_ARENA_MAX, _ARENAS = -8, 2
"""A setting of glibc's ``mallopt``, from ``malloc.h``, and its value here."""


@dataclass(frozen=True, kw_only=True)
class PageSettings:
    """Where the page is served, and how that is announced.

    Attributes
    ----------
    host : str
        Address to bind to.
    port : int or None
        0 for any free one; None for the default one or the next free one.
    public_url : str or None
        Where a proxy or a tunnel offers the page.
    token : str or None
        Bearer token, if one is required; by default, a new one if other machines have the page
        through `public_url`.
    open : bool
        Open a browser.
    json : bool
        Print one JSON document once the first window has been reconstructed.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    public_url: str | None = None
    token: str | None = None
    open: bool = False
    json: bool = False

    def access(self) -> tuple[PublicUrl | None, str | None]:
        """Return the public address, and the token that the service asks for.

        Raises
        ------
        typer.BadParameter
            The page would be open to other machines, or the address is none.
        """
        with setting("--http-host"):
            check_exposure(self.host, self.token)
        public, token = None, self.token or None
        if self.public_url is not None:
            with setting("--public-url"):
                public = PublicUrl.parse(self.public_url)
            if token is None and not public.is_local:
                token = secrets.token_urlsafe(16)
        return public, token


def has_display() -> bool:
    """Return whether a browser opened here would be seen."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def user_folder(variable: str, usual: str) -> Path:
    """Return focalloop's folder in a folder of the user's that a variable of XDG names."""
    folder = Path(os.environ.get(variable, ""))
    if not folder.is_absolute():  # as the XDG specification has it
        folder = Path.home() / usual
    return folder / "focalloop"


def recordings_folder() -> Path:
    """Return the user's folder of recordings."""
    return user_folder("XDG_DATA_HOME", ".local/share") / "recordings"


def recordings_of(folder: Path | None, quota_gb: float | None = None) -> RecordingStore:
    """Return the recordings in a folder, by default in the user's, and finish what was cut off."""
    from focalloop.host.recording.mcap_file import UNFINISHED
    from focalloop.host.recording.store import RecordingStore

    quota_bytes = None if quota_gb is None else int(quota_gb * 1e9)
    store = RecordingStore(folder or recordings_folder(), quota_bytes=quota_bytes)
    for name, missing in store.recover():
        if name.endswith(UNFINISHED):
            print_warning(f"the recording {name} is not finished: {'; '.join(missing)}")
            continue
        print_notice(f"the recording {name} was cut off, and is finished: {'; '.join(missing)}")
    return store


def run_preview(make_session: Callable[[], LiveSession], page: PageSettings) -> None:
    """Serve a live session until Ctrl-C; the page answers before the session has a picture.

    Raises
    ------
    FocalloopError
        If the page cannot be served, or the session ended before its first picture.
    """
    share_heaps()
    public, token = page.access()
    session = make_session()
    with listen(page.host, page.port) as sock, session:
        # Only now: the emulator starts while these are loaded.
        from focalloop.host.service.api import create_app
        from focalloop.host.service.server import Service

        here = address_of(sock)
        url = link_to(sock, public, token)
        app = create_app(session, token=token, host_names=host_names(page.host), public_url=public)
        service = Service(app, sock)
        print_notice(f"Page   {url}" + (f" in front of {here}" if public is not None else ""))
        watcher = threading.Thread(target=_watch, args=(session, service.stop, url, page))
        watcher.start()
        if page.open:
            webbrowser.open(url)
        service.run()
    watcher.join()
    if session.failure is not None:
        raise session.failure


def link_to(sock: socket.socket, public: PublicUrl | None, token: str | None) -> str:
    """Return the address of the page behind a listening socket, with its token."""
    here = address_of(sock) if public is None else public.url
    return here + (f"?token={quote(token)}" if token else "")


def share_heaps() -> None:
    """Let all threads share two heaps: with one each, memory never stops growing slowly.

    Buffers of a window are taken in one thread and given back in another, which leaves gaps in
    every heap (`benchmarks.soak` shows it). Only glibc has the setting.
    """
    with suppress(OSError, AttributeError, TypeError):  # TypeError: on Windows
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def _watch(
    session: LiveSession, stop_service: Callable[[], None], url: str, page: PageSettings
) -> None:
    """Show how far the start has come, then what runs; stop the service if the session ends."""
    with progress_bar(percent=True, transient=True) as progress:
        task = progress.add_task("starting", total=None)
        while (state := session.state()).speed.first_picture_s is None:
            if state.phase is Phase.STOPPED:
                stop_service()
                return
            progress.update(
                task,
                description=state.activity or "waiting for the first window",
                total=None if state.progress is None else 1.0,
                completed=state.progress or 0.0,
            )
            time.sleep(_POLL_S)
    _announce(state, url, page)
    while session.state().phase is not Phase.STOPPED:
        time.sleep(_POLL_S)
    stop_service()


def _announce(state: LiveState, url: str, page: PageSettings) -> None:
    board, ratio_map = state.board, state.map
    assert board is not None
    assert ratio_map is not None
    first_s = state.speed.first_picture_s
    corrected = f"Reads  corrected by {state.corrected_by}\n" if state.corrected_by else ""
    noise = f"Noise  {state.noise_note}\n" if state.noise_note else ""
    budget = state.adaptive.budget if state.adaptive is not None and state.adaptive.active else None
    adaptive = ""
    if state.adaptive is not None:
        does = f"at rest; it follows the scene within {state.adaptive.budget:.4g} of a full readout"
        adaptive = f"       {does if budget else 'it does not follow the scene (see the page)'}\n"
    choice = None if state.radio is None else state.radio.choice
    radio = ""
    if choice is not None:
        radio = (
            f"Radio  {choice.method} over {choice.channel} at {choice.snr_db:g} dB, "
            f"{choice.symbols:,} symbols per window\n"
        )
    by = state.reconstructed_by or state.bundle
    print_notice(
        f"Board  {board.name} at {board.url}, {board.width}x{board.height}, {board.bits} bit\n"
        f"Map    {ratio_map.mean_level:.2f} measurements per pixel, "
        f"{100 * (1 - ratio_map.ratio):.1f} % fewer than a full readout\n"
        f"{adaptive}{corrected}{noise}{radio}"
        f"First picture after {first_s:.1f} s, reconstructed by {by}. Ctrl-C stops all."
    )
    if page.json:
        print_json(
            {
                "url": url,
                "board": {"url": board.url, "name": board.name, "serial": board.serial},
                "bundle": state.bundle,
                "corrected_by": state.corrected_by,
                "noise_note": state.noise_note,
                "radio": None if choice is None else asdict(choice),
                "map": {
                    "hash": ratio_map.hash,
                    "mean_level": ratio_map.mean_level,
                    "budget": budget,
                },
                "first_picture_s": first_s,
            }
        )
