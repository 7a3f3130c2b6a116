"""The command line as a whole: its tables of commands, light help, names that are mistyped."""

import inspect
import json
import subprocess
import sys
import typing
from importlib.metadata import EntryPoint

import pytest
import typer
from typer.testing import CliRunner

from focalloop.firmware_sim.noise import PRESETS
from focalloop.host.captures.calibration_design import Design
from focalloop.host.cli.command_tree import LazyCommand
from focalloop.host.cli.commands.calibrate import calibrate
from focalloop.host.cli.main import app

HEAVY = {"numpy", "numba", "onnxruntime", "fastapi", "scipy", "av", "cv2", "PIL", "torch", "serial"}

ROOT = typer.main.get_command(app)


def entries(command, *path):
    """Every command and group below `command`, by its words, as the tables name it."""
    context = typer.Context(command)
    for name in command.list_commands(context):
        entry = command.get_command(context, name)
        yield (*path, name), entry
        if not isinstance(entry, LazyCommand):
            yield from entries(entry, *path, name)


ENTRIES = dict(entries(ROOT))


def run(*words):
    return CliRunner().invoke(app, words)


def loaded_by(*lines):
    """What each line of words leaves in `sys.modules`, in a process of its own."""
    program = (
        "import contextlib, io, json, sys\n"
        "from focalloop.host.cli.main import app\n"
        "loaded = []\n"
        f"for words in {list(lines)!r}:\n"
        "    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "        app(words)\n"
        "    loaded.append(sorted(sys.modules))\n"
        "print(json.dumps(loaded))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return [set(modules) for modules in json.loads(done.stdout)]


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_help_and_version_load_no_command_and_nothing_heavy(word):
    (modules,) = loaded_by([word])
    assert not modules & HEAVY
    assert "focalloop.host.cli.commands" in modules
    assert not [name for name in modules if name.startswith("focalloop.host.cli.commands.live")]
    assert "focalloop.models.cli.train" not in modules


def test_the_help_of_a_command_loads_nothing_heavy():
    lines = [[*path, "--help"] for path in ENTRIES]
    for words, modules in zip(lines, loaded_by(*lines), strict=True):
        assert not modules & HEAVY, words
    assert "focalloop.models.cli.train" in modules


def test_the_line_in_a_table_is_the_first_of_the_commands_own_help():
    for path, entry in ENTRIES.items():
        if isinstance(entry, LazyCommand):
            assert entry.load().help.partition("\n")[0] == entry.help, path


def test_help_keeps_paragraphs_and_no_line_breaks_within():
    written = ENTRIES["live",].load().help
    assert len(written.split("\n\n")) > 3
    assert "\n" not in written.replace("\n\n", "")


@pytest.mark.parametrize(
    ("words", "nearest"),
    [(["uploadd"], "upload"), (["trainn"], "train"), (["map", "showw"], "show")],
)
def test_a_mistyped_command_is_answered_with_the_nearest(words, nearest):
    result = run(*words)
    assert result.exit_code == 2
    assert f"Did you mean '{nearest}'?" in result.stderr


@pytest.mark.parametrize(
    ("option", "value"),
    [("--limit", "few"), ("--limit", "-7"), ("--snr", "ten"), ("--method", "morse")],
)
def test_what_an_option_cannot_take_is_said_with_its_value(option, value):
    result = run("radio", "send", "clips.npz", option, value)
    assert result.exit_code == 2
    assert option in result.stderr
    assert value in result.stderr
    assert "Input" not in result.stderr
    assert "Value error" not in result.stderr


@pytest.mark.parametrize(
    "words", [["evaluate", ""], ["map", "show", ""], ["capture", "--port", ""]]
)
def test_an_empty_word_is_wrong_usage_and_not_the_current_folder(words):
    result = run(*words)
    assert result.exit_code == 2
    assert result.stderr == "error: an argument is empty: is a variable of the shell not set?\n"


def test_help_lists_every_command_under_its_heading():
    shown = run("--help").stdout
    places = [
        shown.index(word) for word in ("Boards", " upload", "Ratio maps", "Training", " train")
    ]
    assert places == sorted(places)


def plugged_in(monkeypatch, value, **modules):
    """Make `entry_points` find one more table of commands."""
    monkeypatch.setattr(
        "importlib.metadata.entry_points",
        lambda group: [EntryPoint(name="other", value=value, group=group)],
    )
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)


def test_another_package_adds_a_command(monkeypatch):
    def greet(name: str) -> None:
        """Greet somebody."""
        typer.echo(f"hello {name}")

    other = type(sys)("other")
    other.greet = greet
    other.COMMANDS = {"Other": {"greet": ("Greet somebody.", "other:greet")}}
    plugged_in(monkeypatch, "other:COMMANDS", other=other)
    assert run("greet", "you").stdout == "hello you\n"
    assert "Greet somebody." in run("--help").stdout


def test_another_package_adds_a_command_to_a_group_and_replaces_none(monkeypatch):
    def greet(name: str) -> None:
        """Greet a map."""
        typer.echo(f"hello {name}")

    other = type(sys)("other")
    other.greet = greet
    maps = {"greet": ("Greet a map.", "other:greet"), "show": ("Greet a map.", "other:greet")}
    other.COMMANDS = {"Other": {"map": ("Greet maps.", maps), "upload": ("Greet maps.", maps)}}
    plugged_in(monkeypatch, "other:COMMANDS", other=other)
    assert run("map", "greet", "tile").stdout == "hello tile\n"
    assert "level 2" in run("map", "show", "tile-2of16").stdout
    shown = run("map", "--help").stdout
    assert "Greet a map." in shown
    assert "convert" in shown
    assert run("upload", "greet").exit_code == 2


@pytest.mark.parametrize("value", ["no_such_package:COMMANDS", "json:COMMANDS", "sys:path"])
def test_a_broken_package_leaves_the_other_commands_usable(monkeypatch, value, capfd):
    plugged_in(monkeypatch, value)
    result = run("--help")
    assert result.exit_code == 0
    assert "upload" in result.stdout
    assert f"the commands of {value} are left out" in capfd.readouterr().err + result.stderr


def test_choices_that_help_shows_are_those_that_there_are():
    design = typing.get_type_hints(calibrate)["design"]
    assert set(typing.get_args(design)) == {each.value for each in Design}
    for name in PRESETS:
        assert name in inspect.getsource(sys.modules["focalloop.host.cli.shared_options"])


def test_started_as_a_module_it_ignores_what_the_users_folder_holds(tmp_path):
    (tmp_path / "serial.py").write_text("raise RuntimeError('imported')\n")
    words = ["-m", "focalloop", "upload", "tile-2of16", "--port", "/dev/ttyNONE", "--wait", "0"]
    done = subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no port /dev/ttyNONE")


@pytest.mark.parametrize(
    "words",
    ["reconstruct FILE", "radio send FILE", "radio encode FILE"],
)
def test_a_file_that_is_read_is_not_replaced_by_the_output(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine.npz"
    file.write_bytes(b"all that there is")
    for output in ("mine.npz", f"../{tmp_path.name}/mine.npz"):
        result = run(*words.replace("FILE", str(file)).split(), "-o", output)
        assert result.exit_code == 2
        assert "is read, and would be replaced" in result.output
    assert file.read_bytes() == b"all that there is"
