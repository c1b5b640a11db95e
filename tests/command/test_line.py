"""What people type becomes Hydra's own text, and nothing else does."""

from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from hw6.command.line import elements, expand_colons, split
from hw6.command.line import expand as expand_line
from hw6.command.shorthands import experiments_meant, shorthands_meant
from hw6.contract.shorthand import Shorthand
from hw6.errors import BadInput

SHORT = {"lambda": Shorthand("lambda", "fixed", "lambda.value", "0.01")}


def expand(typed: list[str]) -> list[str]:
    """With one shorthand, as double descent declares it."""
    return expand_line(typed, SHORT)


@pytest.mark.parametrize(
    ("typed", "expanded"),
    [
        ("p=5:200", ["p=range(5,200)"]),
        ("p=1:1501:10", ["p=range(1,1501,10)"]),
        ("p=10:1:-3", ["p=range(10,1,-3)"]),
        ("p=-3:3", ["p=range(-3,3)"]),
        ("p=5:8,20", ["p=5,6,7,20"]),
        ("p=20,5:8", ["p=20,5,6,7"]),
        ("p=1:3,7:9", ["p=1,2,7,8"]),
        ("p=9:1:-4,2", ["p=9,5,2"]),
        ("p=5,8", ["p=5,8"]),
        ("p=3", ["p=3"]),
        ("data.sigma=0.5:2:0.5", ["data.sigma=range(0.5,2,0.5)"]),
        ("+p=5:8", ["+p=range(5,8)"]),
        ("++p=5:8", ["++p=range(5,8)"]),
        ("p='5:8'", ["p='5:8'"]),
        ("p=[5:8]", ["p=[5:8]"]),
        ("sizes=[1,2],[3,4]", ["sizes=[1,2],[3,4]"]),
        ("sizes=choice([1,2],[3,4])", ["sizes=choice([1,2],[3,4])"]),
        ("lambda=0.01", ["lambda=fixed", "lambda.value=0.01"]),
        ("lambda=1e-3", ["lambda=fixed", "lambda.value=1e-3"]),
        ("lambda=1E-3", ["lambda=fixed", "lambda.value=1E-3"]),
        ("lambda=.5", ["lambda=fixed", "lambda.value=.5"]),
        ("lambda=2.", ["lambda=fixed", "lambda.value=2."]),
        ("lambda=-1", ["lambda=fixed", "lambda.value=-1"]),
        ("lambda=0", ["lambda=fixed", "lambda.value=0"]),
        ("lambda=nan", ["lambda=fixed", "lambda.value=nan"]),
        ("lambda=0.01,1", ["lambda=fixed", "lambda.value=0.01,1"]),
        ("lambda=0.01,1,tuned", ["lambda=fixed,tuned", "lambda.value=0.01,1"]),
        ("lambda=tuned,0.01", ["lambda=tuned,fixed", "lambda.value=0.01"]),
        ("lambda=tuned,0.01,path,1", ["lambda=tuned,fixed,path", "lambda.value=0.01,1"]),
        ("lambda=choice(0.1,tuned)", ["lambda=choice(fixed,tuned)", "lambda.value=0.1"]),
        ("lambda=choice(0.1,1)", ["lambda=fixed", "lambda.value=choice(0.1,1)"]),
        ("lambda=range(1,3)", ["lambda=fixed", "lambda.value=range(1,3)"]),
        ("lambda=1:3", ["lambda=fixed", "lambda.value=range(1,3)"]),
        ("lambda=1:4,tuned", ["lambda=fixed,tuned", "lambda.value=range(1,4)"]),
        ("+lambda=0.1", ["+lambda=fixed", "+lambda.value=0.1"]),
        ("lambda=tuned", ["lambda=tuned"]),
        ("lambda=fixed,tuned", ["lambda=fixed,tuned"]),
        ("lambda=glob(*)", ["lambda=glob(*)"]),
        ("lambda.value=0.5,1", ["lambda.value=0.5,1"]),
        ("lambda.value=1:3", ["lambda.value=range(1,3)"]),
        ("engine=joblib", ["hydra/launcher=joblib"]),
        ("engine=local", ["hydra/launcher=hw6"]),
        ("hydra.sweep.dir=a:b", ["hydra.sweep.dir=a:b"]),
        ("hydra.sweep.dir=5:8", ["hydra.sweep.dir=5:8"]),
        ("hydra.sweep.dir='a b'", ["hydra.sweep.dir='a b'"]),
        ('hydra.run.dir="a, b"', ['hydra.run.dir="a, b"']),
        ("hydra/launcher=basic", ["hydra/launcher=basic"]),
        ("data.n_test=${p}", ["data.n_test=${p}"]),
        ("data.n_test=10,${p}", ["data.n_test=10,${p}"]),
        ("name=${oc.env:HOME}", ["name=${oc.env:HOME}"]),
        ("p=shuffle(range(1,21))", ["p=shuffle(range(1,21))"]),
        ("~lambda", ["~lambda"]),
        ("p", ["p"]),
    ],
)
def test_an_override_and_what_it_stands_for(typed: str, expanded: list[str]) -> None:
    assert expand([typed]) == expanded
    assert expand(expanded) == expanded


@pytest.mark.parametrize(
    "typed",
    ["p=5:5", "p=8:5", "p=5:8:-1", "p=5:", "p=:5", "p=:", "p=1:10:", "p=1:10:0", "p=1,5:5", "lambda=3:3", "p=5:5:-1"],
)
def test_a_shorthand_that_means_nothing_is_refused(typed: str) -> None:
    with pytest.raises(BadInput) as caught:
        expand([typed])
    assert str(caught.value).startswith(typed.partition("=")[0] + "=")


@pytest.mark.parametrize("typed", ["lambda=0.1,fixed", "lambda=fixed,0.1", "engine=slurm", "engine=", "p=0:1:0.5,3"])
def test_what_would_be_ambiguous_is_refused(typed: str) -> None:
    with pytest.raises(BadInput):
        expand([typed])


small = st.integers(-50, 50)
ranges = st.tuples(small, small, st.integers(-7, 7)).filter(lambda t: t[2] != 0 and len(range(*t)) > 0)


@given(ranges)
def test_a_range_has_the_numbers_of_pythons_own(bounds: tuple[int, int, int]) -> None:
    start, stop, step = bounds
    (text,) = expand([f"p={start}:{stop}:{step}"])
    (override,) = OverridesParser.create().parse_overrides([text])
    assert [int(n) for n in override.sweep_iterator()] == list(range(*bounds))


@given(st.lists(st.one_of(small.map(str), ranges.map(lambda t: f"{t[0]}:{t[1]}:{t[2]}")), min_size=2, max_size=4))
def test_a_list_of_ranges_has_all_their_numbers(parts: list[str]) -> None:
    wanted = [n for part in parts for n in (range(*map(int, part.split(":"))) if ":" in part else [int(part)])]
    assert expand_colons("p", ",".join(parts)) == ",".join(map(str, wanted))


value = st.one_of(
    small.map(str),
    ranges.map(lambda t: f"{t[0]}:{t[1]}:{t[2]}"),
    st.sampled_from(
        ["tuned", "path", "0.01", "1e-3", "range(1,3)", "choice(1,2)", "[1,2]", "'a,b'", "${p}", "glob(*)"]
    ),
    st.text("ab:=,()[]'\"$ ", max_size=8),
)
override = st.builds(
    lambda k, v: f"{k}={v}", st.sampled_from(["p", "lambda", "data.sigma", "+lambda", "hydra.x"]), value
)


@given(st.lists(override, max_size=4))
def test_expanding_twice_changes_nothing(typed: list[str]) -> None:
    try:
        once = expand(typed)
    except BadInput:
        return
    assert expand(once) == once


@given(
    st.lists(st.one_of(small.map(str), st.sampled_from(["tuned", "path", "ridgeless", "0.5"])), min_size=1, max_size=5)
)
def test_rules_and_numbers_of_lambda_are_all_there(parts: list[str]) -> None:
    expanded = expand(["lambda=" + ",".join(parts)])
    rules = expanded[0].removeprefix("lambda=").split(",")
    numbers = [part for part in parts if part not in {"tuned", "path", "ridgeless"}]
    names = [part for part in parts if part not in numbers]
    if not numbers:
        assert expanded == ["lambda=" + ",".join(parts)]
    else:
        assert expanded[1] == "lambda.value=" + ",".join(numbers)
        assert set(rules) == {"fixed", *names}


@pytest.mark.parametrize(
    ("arguments", "flags", "overrides"),
    [
        (["p=3", "-m", "seed=0:5"], ["-m"], ["p=3", "seed=0:5"]),
        (["-m", "p=3"], ["-m"], ["p=3"]),
        (["p=3", "--multirun"], ["--multirun"], ["p=3"]),
        (["p=3", "-cn", "double_descent"], ["-cn", "double_descent"], ["p=3"]),
        (["--config-name=double_descent", "p=3"], ["--config-name=double_descent"], ["p=3"]),
        (["--config-name", "double_descent", "p=3"], ["--config-name", "double_descent"], ["p=3"]),
        (["p=3", "--cfg", "job", "seed=1"], ["--cfg", "job"], ["p=3", "seed=1"]),
        (["p=3", "--info"], ["--info"], ["p=3"]),
        (["--info", "p=3"], ["--info"], ["p=3"]),
        (["p=-3"], [], ["p=-3"]),
        (["~p"], [], ["~p"]),
        ([], [], []),
    ],
)
def test_flags_may_stand_anywhere(arguments: list[str], flags: list[str], overrides: list[str]) -> None:
    line = split(arguments)
    assert list(line.flags) == flags
    assert list(line.overrides) == overrides
    assert line.arguments == [*flags, *overrides]
    assert split(line.arguments) == line


def test_a_flag_is_found_under_any_of_its_names() -> None:
    assert split(["-cn", "a", "p=1"]).value("--config-name", "-cn") == "a"
    assert split(["--config-name=a", "p=1"]).value("--config-name", "-cn") == "a"
    assert split(["-cn"]).value("-cn") is None
    assert split(["p=1"]).value("-cn") is None
    assert split(["p=1", "-m"]).has("-m", "--multirun")
    assert not split(["p=-m"]).has("-m", "--multirun")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1,2", ["1", "2"]),
        ("1", ["1"]),
        ("", [""]),
        ("[1,2],3", ["[1,2]", "3"]),
        ("f(1,2), g(3)", ["f(1,2)", "g(3)"]),
        ("'a,b',c", ["'a,b'", "c"]),
        ('"a,b",{x:1,y:2}', ['"a,b"', "{x:1,y:2}"]),
    ],
)
def test_commas_in_brackets_and_quotes_separate_nothing(text: str, parts: list[str]) -> None:
    assert elements(text) == parts


def test_a_shorthand_is_the_experiments_to_declare() -> None:
    assert expand_line(["lambda=0.1", "rate=0.1"]) == ["lambda=0.1", "rate=0.1"]
    short = {"rate": Shorthand("rate", "constant", "rate.step", "1")}
    assert expand_line(["lambda=0.1", "rate=0.1,decay"], short) == [
        "lambda=0.1",
        "rate=constant,decay",
        "rate.step=0.1",
    ]
    with pytest.raises(BadInput, match="a number already means rate=constant"):
        expand_line(["rate=1,constant"], short)


@pytest.mark.parametrize(
    ("arguments", "name", "meant"),
    [
        (["experiment=noop", "lambda=0.1"], "config", ["noop"]),
        (["experiment=dropout", "experiment=noop"], "config", ["noop"]),
        (["experiment=noop,double_descent"], "config", ["noop", "double_descent"]),
        ([], "config", ["double_descent"]),
        ([], "initialization", ["initialization"]),
        (["experiment=noop"], "initialization", ["noop"]),
    ],
)
def test_the_last_choice_of_an_experiment_counts_and_else_that_of_the_config(
    arguments: list[str], name: str, meant: list[str]
) -> None:
    assert experiments_meant(split(arguments), name) == meant


def test_only_experiments_that_declare_a_shorthand_have_it() -> None:
    assert set(shorthands_meant(split(["lambda=0.1"]), "config")) == {"lambda"}
    assert shorthands_meant(split(["lambda=0.1"]), "initialization") == {}
    assert set(shorthands_meant(split(["lambda=0.1", "experiment=noop,double_descent"]), "config")) == {"lambda"}
