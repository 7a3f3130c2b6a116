"""What ``focalloop train`` does once its options are checked: one training, or a sweep of them."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from json import dumps
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

import typer

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.files import written_whole
from focalloop.host.cli.interruption import StoppedError
from focalloop.host.cli.output import (
    activity,
    console,
    print_json,
    print_notice,
    print_result,
    progress_bar,
    stdout,
)
from focalloop.host.cli.processors import cluster_for
from focalloop.host.cluster import Cluster
from focalloop.models.errors import TrainError
from focalloop.models.training_options import TrainingOptions

if TYPE_CHECKING:
    from rich.table import Table

SUMMARY = "sweep.json"

Document = dict[str, Any]


def run(options: TrainingOptions, device: str, threads: int | None) -> Document | None:
    """Train, and return what was made; None in every process but the first of several."""
    with activity("loading PyTorch"):
        import torch

        from focalloop.models.cli.train_display import Display
        from focalloop.models.training import distributed
        from focalloop.models.training_pipeline import run_training

    if threads:
        torch.set_num_threads(threads)
    with distributed.joined(device) as own_device:
        first = distributed.rank() == 0
        console.quiet = not first
        try:
            document = run_training(options, Display(_command()), own_device)
        except FocalloopError:
            if first:
                raise
            sys.exit(1)  # the first process says why
    return document if first else None


def run_sweep(
    runs: Sequence[TrainingOptions],
    device: str,
    threads: int | None,
    ray: bool,
    address: str | None,
) -> Document:
    """Train each of a sweep, here one after the other or on a cluster at the same time.

    The folder of the sweep gets `SUMMARY` after each run that has ended. One that fails is left,
    with its error.

    Raises
    ------
    ClusterError
        The cluster is lost, or its machines do not share the files.
    StoppedError
        Ctrl-C ended it.
    """
    if "RANK" in os.environ:
        raise typer.BadParameter("--sweep is not for torchrun: it gives each run one process")
    folder = runs[0].folder.parent
    folder.mkdir(parents=True, exist_ok=True)
    done: list[Document] = []
    documents: Iterable[Document]
    try:
        with cluster_for(ray, address, ["torch"]) as cluster:
            if cluster is None:
                documents = (_here(each, device, threads) for each in runs)
            else:
                documents = _on(cluster, runs, device, threads)
            for document in documents:
                done.append(document)
                _keep(folder, done)
    except KeyboardInterrupt:
        raise StoppedError(
            f"stopped: {len(done)} of {len(runs)} runs have ended; the same command goes on"
        ) from None
    return {"folder": str(folder), "runs": done}


def _here(options: TrainingOptions, device: str, threads: int | None) -> Document:
    print_notice(f"{options.folder.name}:")
    try:
        return _named(options, run(options, device, threads) or {})
    except TrainError as error:
        return _named(options, {"error": str(error)})


def _on(
    cluster: Cluster, runs: Sequence[TrainingOptions], device: str, threads: int | None
) -> Iterator[Document]:
    """Train on a cluster, whose machines share the folder of the sweep and the data."""
    import torch

    folder, first = runs[0].folder.parent, runs[0]
    with NamedTemporaryFile(dir=folder, prefix=".shared-") as marker, progress_bar() as bar:
        texts = [text for one in runs for text in (one.ratio_map, one.noise, one.start) if text]
        files = [marker.name, str(first.data), *filter(os.path.isabs, texts)]
        cluster.check_sees(sorted(set(files)))
        task = bar.add_task("runs", total=len(runs))
        threads = threads or torch.get_num_threads()
        device = "cpu" if device == "auto" else device
        trained = partial(train_quietly, device=device, threads=threads, command=_command())
        gpus = int(device == "cuda")
        for document in cluster.map(trained, runs, processors=threads, gpus=gpus):
            bar.advance(task)
            yield document


def train_quietly(options: TrainingOptions, *, device: str, threads: int, command: str) -> Document:
    """Train in a process that nobody watches, and return what was made or what went wrong."""
    import torch

    from focalloop.models.cli.train_display import Unseen
    from focalloop.models.training import distributed
    from focalloop.models.training_pipeline import run_training

    torch.set_num_threads(threads)
    try:
        with distributed.joined(device) as own_device:
            return _named(options, run_training(options, Unseen(command), own_device))
    except TrainError as error:
        return _named(options, {"error": str(error)})


def _named(options: TrainingOptions, document: Document) -> Document:
    return {"name": options.folder.name, **document}


def _keep(folder: Path, done: Iterable[Document]) -> None:
    with written_whole(folder / SUMMARY) as partial_file:
        partial_file.write_text(dumps({"runs": list(done)}, indent=2) + "\n", "utf-8")


def _command() -> str:
    return shlex.join(["focalloop", *sys.argv[1:]])


def export(options: TrainingOptions, bundle: Path) -> Document:
    """Make the bundle of a quick training, and say how to see it at work."""
    from focalloop.models.export.bundle import export_run
    from focalloop.models.training_pipeline import final_run, training_data_of

    with activity(f"making the bundle {bundle}"):
        export_run(final_run(options), bundle, data=training_data_of(options))
    # A bare name could be that of a shipped bundle.
    place = str(bundle) if len(bundle.parts) > 1 else f"./{bundle}"
    scene = [] if options.footage is None else ["--scene", str(options.footage)]
    scene += [] if options.white is None else ["--white", f"{options.white:g}"]
    command = shlex.join(["focalloop", "live", "--bundle", place, *scene])
    return {"bundle": str(bundle), "show": command}


def print_summary(document: Document, ending: str) -> None:
    """Print a line for every run, and what to do next; weights for any map export to `ending`."""
    runs = document.get("maps") or [document.get("map"), document.get("network")]
    for run in [run for run in runs if run] or [document]:
        validation = run["validation_psnr"]
        quality = "" if validation is None else f", validation {validation:.2f} dB"
        costs = f", r_avg {run['r_avg']:.4f}" if "r_avg" in run else ""
        print_result(f"{run['run']}: step {run['step']}, {run['minutes']:.1f} min{costs}{quality}")
    if "budget" in document:
        print_result(f"average ratio {document['r_avg']:.4f}, asked for {document['budget']:g}")
    if "bundle" in document:
        print_result(f"{document['bundle']} is ready. See it at work:  {document['show']}")
    elif "maps" not in document:
        run = (document.get("network") or document)["run"]
        print_result(f"Make use of it:  focalloop export {shlex.quote(run)} -o NAME{ending}")


def show_sweep(document: Document, json: bool) -> None:
    """Print what became of the runs of a sweep, as a table or as a document.

    Raises
    ------
    TrainError
        Some of them have failed, which is also in the table.
    """
    runs = document["runs"]
    if json:
        print_json(document)
    else:
        stdout.print(_table(document))
    failed = sum("error" in run for run in runs)
    if failed:
        raise TrainError(f"{failed} of {len(runs)} runs failed: see why above")


def _table(document: Document) -> Table:
    from rich.table import Table

    table = Table(caption=f"PSNR of the validation windows (dB); runs in {document['folder']}")
    table.add_column("run", overflow="fold")
    for name in ("steps", "minutes", "r_avg", "PSNR"):
        table.add_column(name, justify="right")
    for run in document["runs"]:
        if "error" in run:
            table.add_row(f"{run['name']}: {run['error']}")
            continue
        last = run.get("network") or run
        psnr = last["validation_psnr"]
        table.add_row(
            run["name"],
            str(last["step"]),
            f"{last['minutes']:.1f}",
            f"{run['r_avg']:.4f}" if "r_avg" in run else "",
            "" if psnr is None else f"{psnr:.2f}",
        )
    return table
