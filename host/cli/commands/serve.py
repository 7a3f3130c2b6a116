"""``focalloop serve``: the page of one board, or bundles for other programs, over a network."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from focalloop.host.cli.shared_options import (
    DEFAULT_WAIT_S,
    AddressOption,
    BudgetOption,
    BundleMapOption,
    BundleOption,
    CorrectionOption,
    HttpHostOption,
    HttpPortOption,
    JsonOption,
    PublicUrlOption,
    QuotaOption,
    RayOption,
    RecordingsOption,
    TokenOption,
    UncorrectedOption,
    WaitOption,
    port_option,
    refuse_unused,
)

_OF_A_BOARD = frozenset(
    {"port", "wait", "map_", "budget", "correction", "uncorrected", "recordings", "public_url"}
)
"""Parameters that only the page of a board has."""


def serve(
    port: Annotated[str | None, port_option()] = None,
    inference: Annotated[
        bool,
        typer.Option(
            "--inference",
            help="Serve bundles by the Open Inference Protocol V2 instead of the page of a board.",
        ),
    ] = False,
    wait: WaitOption = DEFAULT_WAIT_S,
    bundle: BundleOption = None,
    map_: BundleMapOption = None,
    budget: BudgetOption = None,
    correction: CorrectionOption = None,
    uncorrected: UncorrectedOption = False,
    recordings: RecordingsOption = None,
    recordings_quota: QuotaOption = None,
    http_host: HttpHostOption = "127.0.0.1",
    http_port: HttpPortOption = None,
    public_url: PublicUrlOption = None,
    token: TokenOption = None,
    ray: RayOption = False,
    address: AddressOption = None,
    json: JsonOption = False,
) -> None:
    """Serve the preview page of one board, here or to a network.

    With --map adaptive, the map follows the scene, within --budget.

    Reads are corrected by --correction, or by what `calibrate --remember` kept for the board.

    With --inference, other programs send reads and get videos: all shipped bundles, or --bundle.
    With --ray, they do so too, and the windows are rebuilt on a Ray cluster (docs/scaling.md).

    Example: focalloop serve --port /dev/ttyACM0 --http-host 0.0.0.0 --token SECRET
    """
    if not ray:
        refuse_unused(["address"], "goes with --ray")
    if inference or ray:
        from focalloop.host.cli.inference_run import run_inference

        mode = "--ray" if ray else "--inference"
        refuse_unused(_OF_A_BOARD, f"has no effect with {mode}, which serves no board")
        run_inference(bundle, http_host, http_port, token, json, ray, address)
        return
    if port is None:
        raise typer.BadParameter(
            "name the board, or serve bundles by --inference", param_hint="--port"
        )
    from focalloop.host.cli import board_memory
    from focalloop.host.cli.adaptive_maps import bundle_for_any_map, load_loop
    from focalloop.host.cli.arguments import check_bundle, load_map, load_pattern
    from focalloop.host.cli.output import print_notice
    from focalloop.host.cli.preview_run import PageSettings, recordings_of, run_preview
    from focalloop.host.live.board_source import BoardAt
    from focalloop.host.live.session import LiveSession

    check_bundle(bundle)
    loop, ratio_map = load_loop(map_, budget), None
    if loop is not None:
        bundle = bundle_for_any_map(bundle, None)
    elif map_ is not None:
        ratio_map = load_map(map_)
    given = load_pattern(correction, "--correction")
    kept_in = recordings_of(recordings, recordings_quota)
    run_preview(
        lambda: LiveSession(
            BoardAt(port, wait, print_notice),
            bundle=bundle,
            ratio_map=ratio_map,
            adaptive=loop,
            correct=partial(board_memory.correction_for, given=given, kept=not uncorrected),
            recordings=kept_in,
            board_memory=board_memory,
        ),
        PageSettings(host=http_host, port=http_port, public_url=public_url, token=token, json=json),
    )
