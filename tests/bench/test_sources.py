"""Which files an import can bring in."""

from __future__ import annotations

from pathlib import Path

import pytest

from pubsub_sim.bench.sources import digest, imported

FILES = {
    "house/__init__.py": "",
    "house/door.py": "from house.rooms import kitchen\nimport house.cellar, os\n",
    "house/cellar.py": "def late():\n    from house.rooms.attic import BOX\n    return BOX\n",
    "house/rooms/__init__.py": "from __future__ import annotations\n",
    "house/rooms/kitchen.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.guests import Guest\n",
    "house/rooms/attic.py": "import house.door\nBOX = 1\n",
    "house/guests.py": "class Guest: ...\n",
}


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A package of a few files."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_imports_are_followed_also_late_and_in_circles(house: Path) -> None:
    """From a door to everything behind it: modules and their packages, but not what only the type checker imports."""
    found = [path.relative_to(house).as_posix() for path in imported(house, ["house/door.py"])]
    assert found == sorted(FILES.keys() - {"house/guests.py"})


@pytest.mark.parametrize(
    "block",
    [
        "try:\n    {}\nexcept OSError:\n    pass\n",
        "try:\n    pass\nexcept OSError:\n    {}\n",
        "try:\n    pass\nfinally:\n    {}\n",
        "for _ in ():\n    pass\nelse:\n    {}\n",
        "if True:\n    pass\nelif False:\n    {}\n",
        "with open('x'):\n    {}\n",
        "match 1:\n    case 1:\n        {}\n",
        "class Room:\n    async def enter(self):\n        {}\n",
        "if TYPE_CHECKING:\n    pass\nelse:\n    {}\n",
    ],
)
def test_imports_are_found_in_every_block(house: Path, block: str) -> None:
    """Wherever a statement can stand."""
    (house / "house" / "street.py").write_text(block.format("import house.guests"))
    assert house / "house" / "guests.py" in imported(house, ["house/street.py"])


def test_folder_is_a_start_with_all_it_holds(house: Path) -> None:
    """What nothing leads to is found by naming its folder."""
    assert len(imported(house, ["house"])) == len(FILES)


def test_only_the_packages_asked_for_are_followed(house: Path) -> None:
    """Where packages are installed lie others, which are none of ours."""
    (house / "street.py").write_text("import house.cellar\n")
    (house / "house" / "door.py").write_text("import street\n")
    names = [path.relative_to(house).as_posix() for path in imported(house, ["house/door.py"], ["house"])]
    assert names == ["house/__init__.py", "house/door.py"]
    assert house / "street.py" in imported(house, ["house/door.py"])


def test_digest_knows_names_and_contents(house: Path) -> None:
    """Another content and another name are another digest; the same files are the same one, wherever they lie."""
    files = imported(house, ["house/door.py"])
    before = digest(house, files)
    assert digest(house, files) == before
    (house / "house" / "cellar.py").write_text("# empty\n")
    assert digest(house, files) != before
    assert digest(house, files[:1]) != digest(house.parent, files[:1])
