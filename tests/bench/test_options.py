"""The options of a sweep."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import pubsub_sim
from pubsub_sim.bench.options import PackOptions, RunOptions, SweepOptions
from pubsub_sim.errors import OptionConflict, OptionError
from pubsub_sim.flags import from_flags
from pubsub_sim.parameters import UnknownParameterError


def test_defaults_are_the_grid_of_the_notebook() -> None:
    """Without parameters both versions are compared on the whole grid."""
    options = SweepOptions()
    assert options.versions == ("baseline", "states")
    assert options.hosts == (5, 10, 15, 20)
    assert options.messages == (20, 60, 100)


@pytest.mark.parametrize("transport", ["memory", "tcp", "libp2p"])
def test_sweep_can_be_made_over_each_transport(transport: str) -> None:
    """In memory, where versions are compared on equal RPCs, and over loopback sockets."""
    assert SweepOptions(transport=transport).transport == transport


@pytest.mark.parametrize("hosts", [5, [5], (5,), "5"])
def test_single_value_is_a_grid_of_one(hosts: object) -> None:
    """One value, a list of one and a text of one mean the same."""
    assert SweepOptions.from_parameters({"hosts": hosts}).hosts == (5,)


def test_text_with_commas_is_several_values() -> None:
    """A command line can give several values in one word."""
    options = SweepOptions.from_parameters({"hosts": "5, 10", "versions": "states,baseline"})
    assert options.hosts == (5, 10)
    assert options.versions == ("states", "baseline")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("hosts", 0, "hosts: expected a whole number of at least 2, got 0"),
        ("hosts", "many", "hosts: expected a whole number of at least 2, got 'many'"),
        ("hosts", [5, 2.5], "hosts: expected a whole number of at least 2, got 2.5"),
        ("hosts", [5, True], "hosts: expected a whole number of at least 2, got True"),
        ("hosts", 40_000, "hosts: expected a whole number of at most 32767, got 40000"),
        ("hosts", [], "hosts: expected at least one value, got []"),
        ("hosts", [5, 5], "hosts: expected each value once (5 is there twice), got [5, 5]"),
        ("messages", -1, "messages: expected a whole number of at least 1, got -1"),
        ("messages", None, "messages: expected a whole number of at least 1, got None"),
        (
            "versions",
            "original",
            "versions: expected one of baseline, states, direct, states-rpc, lower-bound, got 'original'",
        ),
        ("versions", 3, "versions: expected one of baseline, states, direct, states-rpc, lower-bound, got 3"),
        ("repeats", 0, "repeats: expected a whole number of at least 1, got 0"),
        ("repeats", "3x", "repeats: expected a whole number of at least 1, got '3x'"),
        ("seed", "x", "seed: expected a whole number of at least 0, got 'x'"),
        ("barrier", "yes", "barrier: expected true or false, got 'yes'"),
        ("measure", 1, "measure: expected true or false, got 1"),
        ("control", None, "control: expected true or false, got None"),
        ("warmup", "no", "warmup: expected true or false, got 'no'"),
        ("allocator", "jemalloc", "allocator: expected one of pinned, default, got 'jemalloc'"),
        ("progress", "loud", "progress: expected one of auto, lines, none, got 'loud'"),
        ("memory_repeats", -1, "memory_repeats: expected a whole number of at least 0, got -1"),
        ("calls_repeats", "many", "calls_repeats: expected a whole number of at least 0, got 'many'"),
        ("lag_repeats", 1.5, "lag_repeats: expected a whole number of at least 0, got 1.5"),
        (
            "comparators",
            "roof",
            "comparators: expected one of baseline, states, direct, states-rpc, lower-bound, got 'roof'",
        ),
        (
            "comparators",
            ["lower-bound", "lower-bound"],
            "comparators: expected each value once ('lower-bound' is there twice), got ['lower-bound', 'lower-bound']",
        ),
        ("comparator_repeats", 0, "comparator_repeats: expected a whole number of at least 1, got 0"),
        ("slow_limit_s", 0, "slow_limit_s: expected a number of seconds above 0, got 0"),
        ("limit_s", 0, "limit_s: expected a number of seconds above 0, got 0"),
        ("limit_s", float("nan"), "limit_s: expected a number of seconds above 0, got nan"),
        ("limit_s", "3 s", "limit_s: expected a number of seconds above 0, got '3 s'"),
        ("share", "yes", "share: expected true or false, got 'yes'"),
        ("out", "", "out: expected the name of a folder, got ''"),
        ("out", "a\0b", "out: expected the name of a folder, which holds no NUL character, got 'a\\x00b'"),
        ("out", "~nobody-here/x", "out: expected a folder of a user of this machine, got '~nobody-here/x'"),
        ("out", 5, "out: expected the name of a folder, got 5"),
    ],
)
def test_bad_value_is_one_sentence(name: str, value: Any, sentence: str) -> None:
    """A value that cannot be used is refused with the parameter, the value and what was expected."""
    with pytest.raises(OptionError) as error:
        SweepOptions.from_parameters({name: value})
    assert str(error.value) == sentence
    assert error.value.option == name


@pytest.mark.parametrize("name", ["router", "transport", "loop", "sign"])
def test_unknown_choice_is_refused_by_name(name: str) -> None:
    """A router, transport, loop or way of signing that does not exist is refused by its name."""
    with pytest.raises(OptionError, match=f"^{name}: expected .*, got 'nothing'$"):
        SweepOptions.from_parameters({name: "nothing"})


def test_unknown_parameter_is_refused_with_the_nearest_one() -> None:
    """A parameter that does not exist is refused, and the nearest name is told."""
    with pytest.raises(UnknownParameterError) as error:
        SweepOptions.from_parameters({"host": 5})
    assert str(error.value) == "host: there is no such parameter, did you mean 'hosts'?"
    assert error.value.value == 5


def test_parameter_like_no_other_is_refused_with_all_names() -> None:
    """A parameter that is like no other is refused with the list of names."""
    with pytest.raises(UnknownParameterError, match=r"zzz: there is no such parameter, there are versions, hosts"):
        SweepOptions.from_parameters({"zzz": 5})


def test_relative_folder_starts_at_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative folder lies in the repository's data/raw, wherever Python was started."""
    monkeypatch.chdir(tmp_path)
    root = Path(pubsub_sim.__file__).resolve().parents[1]
    assert SweepOptions(out="mine").folder == root / "data" / "raw" / "mine"


def test_absolute_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    """An absolute folder is where it says."""
    assert SweepOptions.from_parameters({"out": tmp_path}).folder == tmp_path


@pytest.mark.parametrize("name", ["../mine", "/tmp/mine", "a/b", "..", ".mine", "3", "my version", "x" * 65])
def test_name_of_a_program_is_a_name_and_no_path(name: str) -> None:
    """Files are named after it, so that nothing may be written outside the sweep's folder."""
    with pytest.raises(OptionError, match="programs: expected a name of at most 64 letters, digits") as error:
        SweepOptions(versions=["baseline"], programs=f"{name}=python mine.py")
    assert error.value.value == name


@pytest.mark.parametrize("command", ["python 'mine.py", "python mine\0.py", "python \\"])
def test_command_of_a_program_that_cannot_be_one_is_refused(command: str) -> None:
    """Quotes that do not end and characters that no command can have."""
    with pytest.raises(OptionError, match="programs: expected a command "):
        SweepOptions(programs=f"mine={command}")


@pytest.mark.parametrize(
    "words", ["--out=2024", "--out=007", "--out=1e5", "--out=nan", "--out=a,b", "--out=-x", "--out= "]
)
def test_any_name_of_a_folder_can_stand_on_the_command_line(words: str) -> None:
    """What looks like a number is a name all the same, letter by letter."""
    name = words.removeprefix("--out=")
    if not name.strip():
        with pytest.raises(OptionError, match="out: expected the name of a folder"):
            from_flags(SweepOptions, "sweep", "", [words])
        return
    assert from_flags(SweepOptions, "sweep", "", [words]).out == name
    assert from_flags(PackOptions, "pack", "", [words, "--target=12"]).target == "12"


def test_numbers_on_the_command_line_are_numbers() -> None:
    """Where an option is a number or several."""
    options = from_flags(SweepOptions, "sweep", "", ["--hosts=5", "--messages=1,2", "--limit-s=2.5", "--seed=7"])
    assert (options.hosts, options.messages, options.limit_s, options.seed) == ((5,), (1, 2), 2.5, 7)


@pytest.mark.parametrize(
    ("options", "option", "other"),
    [
        ({"comparators": "states"}, "comparators", "versions"),
        ({"comparators": "lower-bound", "barrier": False}, "comparators", "barrier"),
        ({"comparators": "lower-bound", "router": "gossipsub"}, "comparators", "router"),
        ({"versions": "lower-bound", "router": "gossipsub"}, "versions", "router"),
        ({"half_width": 0.1, "repeats": 5, "max_repeats": 4}, "max_repeats", "repeats"),
    ],
)
def test_options_that_exclude_each_other_are_named_both(options: dict[str, Any], option: str, other: str) -> None:
    """A comparator needs equal work, the lower bound only floods, and a maximum is above its minimum."""
    with pytest.raises(OptionConflict) as caught:
        SweepOptions(**options)
    assert (caught.value.option, caught.value.other) == (option, other)
    assert option in str(caught.value)
    assert other in str(caught.value)


def test_lower_bound_runs_beside_floodsub_over_either_transport() -> None:
    """It stands beside floodsub, in memory and over sockets."""
    assert SweepOptions(comparators="lower-bound", transport="tcp").comparators == ("lower-bound",)


def test_earlier_names_of_the_comparators_still_work() -> None:
    """As parameters and as flags; after the notebook's own values papermill's count."""
    given = {"comparators": [], "comparator_repeats": 5, "field": ["floor"], "field_repeats": 2}
    found = [
        SweepOptions.from_parameters(given),
        from_flags(SweepOptions, "sweep", "", ["--field=floor", "--field-repeats=2"]),
        from_flags(SweepOptions, "sweep", "", ["--comparators=lower-bound", "--comparator-repeats=2"]),
    ]
    assert found == [SweepOptions(comparators=("lower-bound",), comparator_repeats=2)] * 3


def test_every_option_is_explained() -> None:
    """Each field has its line in the class's docstring, from which the help of the command is made."""
    told = (SweepOptions.__doc__ or "") + "".join(base.__doc__ or "" for base in RunOptions.__mro__)
    for cls in (SweepOptions, RunOptions):
        assert all(f"    {entry.name}: " in told for entry in fields(cls))
