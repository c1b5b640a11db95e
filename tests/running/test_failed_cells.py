"""How a failed cell is run alone: what is printed is the same cell, whatever its values look like."""

from __future__ import annotations

import shlex
from enum import Enum
from typing import Any

import numpy as np
import pytest
from commands import Command
from hypothesis import given
from hypothesis import strategies as st

import hw6
from hw6.command.overrides import parse_overrides
from hw6.contract.registry import given as known
from hw6.errors import FailedCells
from hw6.plan.plan import Axis, Block
from hw6.running.failures import alone
from hw6.store.record import Command as Typed
from hw6.words import quoted, unquoted


class Odd(Enum):
    true = 1
    null = 2
    RED = 3


@hw6.experiment(metrics={"y": "a number"})
def fails(
    word: str = "a",
    words: list[str] = ["a"],  # noqa: B006
    numbers: list[float] = [1.0],  # noqa: B006
    maybe: int | None = None,
    odd: Odd = Odd.RED,
    flag: bool = False,
) -> dict[str, float]:
    raise ValueError("as it always does")


TEXT = st.text(st.sampled_from("ab\\'\" ,:=[]{}()$-.\nné1"), max_size=6).filter(lambda text: text != "???")
ODD = st.sampled_from(
    ["nan", "INF", "True", "null", "Null", "3", "1e5", "", "a,b", "it's", "C:\\dir x\\y", "-", "~", "a\\"]
)


def values_of(words: list[str]) -> dict[str, Any]:
    found = {one.key: one.values[0] for one in parse_overrides((), words, None)}
    return {key: fails.keys[key].convert(key, value) for key, value in found.items() if key in fails.keys}


@given(text=TEXT | ODD)
def test_a_text_in_quotes_is_itself_again(text: str) -> None:
    assert unquoted(quoted(text)) == text


@given(word=TEXT | ODD, words=st.lists(TEXT | ODD, max_size=3), odd=st.sampled_from(list(Odd)), flag=st.booleans())
def test_the_printed_arguments_are_the_same_cell(word: str, words: list[str], odd: Odd, flag: bool) -> None:
    swept = {"word": word, "words": tuple(words), "odd": odd.name, "flag": flag, "maybe": None, "numbers": (1.0, 1e-30)}
    block = Block(fails, (), {}, tuple(Axis(key, (value,)) for key, value in swept.items()))
    printed = shlex.split(shlex.join(alone(Typed(), block, 0)))
    assert values_of([text for text in printed if not text.startswith("experiment=")]) == swept


def test_a_pasted_command_runs_that_cell(command: Command) -> None:
    with known([fails]):
        ran = command("-m", "experiment=fails", "word=\"it's\",'a b','3'", "odd=true,RED", "hydra.sweep.dir=s")
        assert ran.status == 1
        (line,) = ran.lines
        words = shlex.split(line.partition("(for example: ")[2].removesuffix(")"))[3:]
        ids = set(hw6.load(command.folder / "s")["cell_id"])
        alone_ran = command(*words, "hydra.run.dir=one")
        assert alone_ran.status == 1
        assert set(hw6.load(command.folder / "one")["cell_id"]) <= ids


def test_what_no_command_finds_is_called_from_python(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(command.folder)

    @hw6.experiment(metrics={"y": "a number"})
    def local(word: str = "a") -> dict[str, float]:
        raise ValueError("as it always does")

    call = """hw6.run_sweep(["word='3'"], experiment=local)"""
    with pytest.raises(FailedCells) as caught:
        hw6.run_sweep(["word='3'"], experiment=local, directory="s")
    assert f"(for example: {call})" in str(caught.value)
    assert call in command("s", "--failures", module="hw6.status").out


@pytest.mark.parametrize("value", [np.int64(3), np.float64(0.1), np.bool_(True), None, "a", (1, 2)])
def test_every_kind_of_value_has_a_form(value: Any) -> None:
    block = Block(fails, (), {}, (Axis("word", (value,)),))
    assert alone(Typed(), block, 0)[-1].startswith("word=")
