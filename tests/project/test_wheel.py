"""What the wheels hold, need and load."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import asyncmachine
import pubsub_sim
from pubsub_sim.__main__ import COMMANDS
from pubsub_sim.bench.options import SweepOptions
from pubsub_sim.bench.sweep import sweep
from pubsub_sim.packages import PACKAGES, MissingPackageError
from tests.conftest import PROJECTS

pytestmark = pytest.mark.xdist_group("wheel")

ROOT = Path(__file__).parents[2]
OF_THE_PROJECT = {"pyproject.toml", "hatch_build.py", "README.md", "LICENSE"}  # in pubsub_sim, for its build
SHIPPED = "pubsub_sim/shipped/"

LOADED = """
import json, sys
{before}
before = set(sys.modules)
sys.path.append({folder!r})
import asyncmachine
print(json.dumps([asyncmachine.__file__, sorted(set(sys.modules) - before)]))
"""
BUILD = "from hatchling.build import build_{kind}; print(build_{kind}({folder!r}))"


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def tracked(package: str) -> set[str]:
    listed = subprocess.run(["git", "ls-files", "-z", package], cwd=ROOT, capture_output=True, check=True, text=True)
    return {name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()}


def distribution(installed: Path, name: str) -> PathDistribution:
    (info,) = installed.glob(f"{name}-*.dist-info")
    return PathDistribution(info)


def build(kind: str, project: Path, folder: Path) -> Path:
    code = BUILD.format(kind=kind, folder=str(folder))
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True)
    return folder / done.stdout.split()[-1]


def loaded(folder: Path, *options: str, before: str = "") -> tuple[str, set[str]]:
    code = LOADED.format(folder=str(folder), before=before)
    done = subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    file, modules = json.loads(done.stdout)
    return file, set(modules)


def test_the_library_is_alone_in_its_wheel_and_needs_nothing(wheels: dict[str, Path], installed: Path) -> None:
    """`pip install asyncmachine` installs its own files, `py.typed` among them; every requirement belongs to an extra."""
    assert names(wheels["asyncmachine"]) == tracked("asyncmachine")
    assert "asyncmachine/py.typed" in tracked("asyncmachine")
    requirements = [Requirement(text) for text in distribution(installed, "asyncmachine").requires or ()]
    assert len(requirements) > 10
    for requirement in requirements:
        assert requirement.marker is not None, requirement
        assert not requirement.marker.evaluate({"extra": ""}), requirement


def test_the_simulator_is_whole_in_its_wheel(wheels: dict[str, Path], installed: Path) -> None:
    """Its package, and the notebooks and published figures that its commands read, as a clone has them; nothing else."""
    held = names(wheels["pubsub_sim"])
    shipped = {name for name in held if name.startswith(SHIPPED)}
    assert held - shipped == tracked("pubsub_sim") - {f"pubsub_sim/{name}" for name in OF_THE_PROJECT}
    for name in shipped:
        assert (installed / name).read_bytes() == (ROOT / name.removeprefix(SHIPPED)).read_bytes()


def test_what_the_code_asks_of_a_clone_is_in_the_wheel(wheels: dict[str, Path]) -> None:
    """Whatever is named in a call of `shipped` is there."""
    held = names(wheels["pubsub_sim"])
    for notebook in ("4_findings", "5_inside_a_run"):
        assert f"{SHIPPED}notebooks/{notebook}.ipynb" in held
    references = {f"{SHIPPED}data/reference/{path.name}" for path in (ROOT / "data" / "reference").glob("*.*")}
    assert references <= held


def test_the_licence_is_in_both_wheels(installed: Path) -> None:
    """The same text, in the place for it."""
    for name in PROJECTS:
        (path,) = installed.glob(f"{name}-*.dist-info/licenses/LICENSE")
        assert path.read_bytes() == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize("name", PROJECTS)
def test_a_wheel_from_the_source_distribution_is_the_same(name: str, wheels: dict[str, Path], tmp_path: Path) -> None:
    """Who builds from source gets what others download."""
    archive = build("sdist", PROJECTS[name], tmp_path)
    subprocess.run(["tar", "-xzf", archive.name], cwd=tmp_path, check=True)
    wheel = build("wheel", tmp_path / archive.name.removesuffix(".tar.gz"), tmp_path)
    assert names(wheel) == names(wheels[name])


@pytest.mark.parametrize("name", PROJECTS)
def test_an_editable_install_is_a_path_entry(name: str, wheels: dict[str, Path], tmp_path: Path) -> None:
    """One .pth file that names the clone, which type checkers follow, and no code that runs at start-up."""
    wheel = build("editable", PROJECTS[name], tmp_path)
    (path,) = names(wheel)
    assert path.endswith(".pth")
    assert zipfile.ZipFile(wheel).read(path).decode().splitlines() == [str(ROOT)]


def test_both_packages_have_one_version(installed: Path) -> None:
    """The code, the wheels, the citation and the newest entry of the change log agree."""
    released = re.findall(r"^## \[(\d\S*)\] - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert released[0] == (asyncmachine.__version__, str(citation["date-released"]))
    assert citation["version"] == asyncmachine.__version__ == pubsub_sim.__version__
    for name in PROJECTS:
        assert distribution(installed, name).version == asyncmachine.__version__


@pytest.mark.parametrize("options", [("-I", "-S"), ("-I", "-S", "-W", "error")])
def test_the_library_imports_the_standard_library_only(installed: Path, options: tuple[str, ...]) -> None:
    """In an interpreter that sees nothing else, the import works, without a warning."""
    file, modules = loaded(installed, *options)
    assert Path(file).is_relative_to(installed)
    assert {name.split(".")[0] for name in modules} - sys.stdlib_module_names == {"asyncmachine"}


def test_the_library_loads_hardly_more_than_asyncio_does(installed: Path) -> None:
    """Who has imported asyncio pays for the library's own modules alone; none of the rooms around the engine is loaded."""
    _, modules = loaded(installed, "-I", "-S", before="import asyncio")
    assert {name for name in modules if not name.startswith("asyncmachine")} <= {"__future__"}
    rooms = {path.parent.name for path in (ROOT / "asyncmachine").glob("*/__init__.py")}
    assert not {name for name in modules if name.split(".")[1:2] and name.split(".")[1] in rooms}


def imports() -> dict[str, set[str]]:
    """Top-level names that the simulator imports from elsewhere, and where."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "pubsub_sim").rglob("*.py")):
        if path.name == "hatch_build.py" or "peers" in path.parts:  # run by the build, and by environments of their own
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for module in modules:
                found.setdefault((module or "").split(".")[0], set()).add(path.name)
    return {name: files for name, files in found.items() if name not in {*sys.stdlib_module_names, "pubsub_sim"}}


def test_every_import_of_the_simulator_has_a_package_and_an_extra() -> None:
    """Whatever is missing can be named with the line that installs it, and that line does install it."""
    assert imports().keys() <= PACKAGES.keys()
    project = tomllib.loads((ROOT / "pubsub_sim" / "pyproject.toml").read_text())["project"]
    extras = {"": project["dependencies"], **project["optional-dependencies"]}
    brought = {extra: {canonicalize_name(Requirement(text).name) for text in texts} for extra, texts in extras.items()}
    library = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    brought["lab"] |= {
        Requirement(text).name for extra in ("diagrams", "tables", "timeline") for text in library[extra]
    }
    for package, extra in PACKAGES.values():
        assert package in brought[extra], (package, extra)


EXPORTS = """
import os
from asyncmachine import Machine
from asyncmachine.export.amdbg_dump import write_dump
from asyncmachine.export.errors import MissingExtraError
from asyncmachine.export.otlp import send_otlp
from asyncmachine.export.timeline import timeline, timeline_figure
from asyncmachine.record import Record, Recorder

with Recorder("run.sqlite") as recorder:
    door = Machine({"Open": {}}, id="door", tracers=[recorder])
    door.add("Open")
os.environ["PATH"] = ""  # no Graphviz either
with Record.open("run.sqlite") as record:
    for export in (
        door.diagram, record.frame, lambda: record.to_parquet("."), lambda: timeline(record), lambda: timeline_figure(record),
        lambda: write_dump(record, "dump"), lambda: send_otlp(record, "http://localhost:4317", "grpc"),
    ):
        try:
            export()
        except MissingExtraError as error:
            print(error.extra, error)
"""


def test_an_export_of_the_library_names_the_extra_it_misses(installed: Path, tmp_path: Path) -> None:
    """Where the library is alone, each says in one sentence which line installs what it needs, and that extra exists."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-S", "-c", EXPORTS]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [
        "diagrams",
        "tables",
        "tables",
        "timeline",
        "timeline",
        "amdbg",
        "otlp",
    ]
    known = distribution(installed, "asyncmachine").metadata.get_all("Provides-Extra") or []
    for line in lines:
        extra = line.split()[0]
        assert extra in known
        assert line.endswith(f": pip install 'asyncmachine[{extra}]'")


@pytest.mark.parametrize(
    ("option", "value", "module"), [("loop", "uvloop", "uvloop"), ("executor", "dask", "distributed")]
)
def test_an_option_that_needs_a_package_says_what_else_there_is(
    option: str, value: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence names the option's value, the package and the line that installs it."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        MissingPackageError, match=f"^{option} '{value}' .* package '{module}'.*: pip install "
    ) as caught:
        sweep(SweepOptions(hosts=2, messages=1, repeats=1, out=tmp_path, share=True, **{option: value}))
    assert (caught.value.package, caught.value.extra) == PACKAGES[module]


def alone(installed: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a module where the two wheels are installed, and nothing else."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-S", "-m", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_the_commands_are_listed_without_any_other_package(installed: Path) -> None:
    """Help needs the standard library only."""
    done = alone(installed, "pubsub_sim", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "sweep" in done.stdout


@pytest.mark.parametrize("command", sorted({*COMMANDS} - {"dashboard"}))  # which writes what is known without any
def test_a_command_names_the_package_it_misses_in_one_sentence(command: str, installed: Path) -> None:
    """No traceback: what needs which package, and the line that installs it."""
    done = alone(installed, "pubsub_sim", command)
    assert (done.returncode, done.stdout) == (2, "")
    line = r"'pubsub-sim\[lab\]'|'asyncmachine\[diagrams\]'|[\w-]+"
    assert re.fullmatch(rf"[\w. -]+ needs the package '[\w-]+'.*: pip install ({line})\n", done.stderr), done.stderr


def test_a_name_of_the_simulator_says_what_it_needs(installed: Path) -> None:
    """In a program the last line of the traceback is the same sentence, and it is an ImportError."""
    code = "try:\n    from pubsub_sim import World\nexcept ImportError as error:\n    print(error)"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    sentence = r"pubsub_sim\.World needs the package '([a-z]+)', which is not installed: pip install \1\n"
    assert re.fullmatch(sentence, done.stdout), done.stdout


def test_every_public_name_of_the_simulator_can_be_had() -> None:
    """`__all__`, what is found by `dir` and what is loaded when it is used are the same; other names are refused."""
    assert set(pubsub_sim.__all__) <= set(dir(pubsub_sim))
    for name in pubsub_sim.__all__:
        assert getattr(pubsub_sim, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Wrold'"):
        _ = pubsub_sim.Wrold


def test_a_sweep_outside_a_clone_is_written_where_it_is_started(installed: Path, tmp_path: Path) -> None:
    """The installed simulator measures, stores into the current folder, and takes no other checkout for its own."""
    subprocess.run(["git", "init", "-q"], cwd=installed, check=True)
    words = "sweep --hosts 2 --messages 1 --repeats 1 --limit-s 60 --share --out mine --progress lines".split()
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", "pubsub_sim", *words]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    program = (
        "import pubsub_sim\nfrom pubsub_sim.results import Store\nfrom pubsub_sim.bench.provenance import of_the_sweep\n"
        "from pathlib import Path\nprint(len(Store(Path('mine')).load()) > 0, of_the_sweep()['commit'])\n"
        "print(pubsub_sim.__file__)"
    )
    read = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert read.stdout.split() == ["True", "None", str(installed / "pubsub_sim" / "__init__.py")]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]
