"""The homework's answers: every command of the page prints what the page says; links of all pages lead somewhere."""

from __future__ import annotations

import math
import os
import re
import shlex
import subprocess
import sys
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from commands import Command
from torch import nn

from hw6.command.folders import sweep_names
from hw6.layers.convolution import MyConvLayer, split_state
from hw6.layers.convolution import STMConvLayer as FastLayer

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "homework.md"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE_CODE = re.compile(r"`([^`\n]+)`")
BOLD_NUMBER = re.compile(r"\*\*([\d.,]+)\*\*")
LINK = re.compile(r"\[[^\]]*\]\(([^()\s]+)\)|(?:src|href)=\"([^\"]+)\"")
ROUNDING = 1e-12  # as the page says
AGREES = 1e-3  # relative: float32 sums differ a little from machine to machine


class Block(NamedTuple):
    """A fenced block of the page: the problem in which it stands, its language, its text."""

    problem: int
    language: str
    text: str


def problems() -> dict[int, str]:
    """The text of each problem's answer."""
    parts = re.split(r"^## Problem (\d).*$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {int(number): text for number, text in zip(parts[1::2], parts[2::2], strict=True)}


def blocks(*languages: str) -> list[Block]:
    found = [Block(number, *match) for number, text in problems().items() for match in FENCE.findall(text)]
    return [block for block in found if not languages or block.language in languages]


def without_code(text: str) -> str:
    return INLINE_CODE.sub("", FENCE.sub("", text))


def same(quoted: str, printed: str) -> bool:
    """Words and whole numbers must be equal; other numbers to AGREES, or to one unit of the last digit quoted."""
    if quoted == printed:
        return True
    try:
        ours, theirs = Decimal(quoted), Decimal(printed)
    except ArithmeticError:
        return False
    if "." not in quoted:
        return False
    unit = Decimal(1).scaleb(int(ours.as_tuple().exponent))
    apart = abs(ours - theirs)
    return bool(
        apart <= unit or apart <= Decimal(AGREES) * abs(ours) or max(abs(ours), abs(theirs)) < Decimal(ROUNDING)
    )


def same_line(quoted: str, printed: str) -> bool:
    ours, theirs = quoted.split(), printed.split()
    return len(ours) == len(theirs) and all(map(same, ours, theirs))


# --- the page -------------------------------------------------------------------------------------------------------


def test_the_page_answers_five_problems_in_order_and_checks_each() -> None:
    assert list(problems()) == [1, 2, 3, 4, 5]
    assert {block.language for block in blocks()} == {"sh", "text", "python"}
    for number in problems():
        languages = [block.language for block in blocks("sh", "text") if block.problem == number]
        assert ("sh", "text") in pairwise(languages), f"problem {number} has no check"


@pytest.mark.parametrize("number", range(1, 6))
def test_numbers_in_bold_can_be_read_off_the_output(number: int) -> None:
    told = " ".join(block.text for block in blocks("text") if block.problem == number).split()
    values = {float(word) for word in told if re.fullmatch(r"[-+.e\d]+", word)}
    quoted = [text.replace(",", "") for text in BOLD_NUMBER.findall(problems()[number])]
    assert bool(quoted) == (number != 3)
    for text in quoted:
        digits = len(text.partition(".")[2])
        assert any(round(value, digits) == float(text) for value in values), text


def test_quoted_numbers_are_compared_strictly_enough() -> None:
    assert same("0.249231", "0.24923")
    assert same("6.81", "6.82")
    assert same("4.8e-16", "0")
    assert not same("0.249231", "0.2500")
    assert not same("6.81", "6.83")
    assert not same("78592", "78593")
    assert not same("1.0e-11", "0")
    assert not same("True", "False")
    assert same_line("a  1.00", "a 1.0")
    assert not same_line("a", "a 1.0")


class Printed(NamedTuple):
    """What the page's commands did: the output of each block, and the files that they left."""

    outputs: list[str]
    folder: Path


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Printed:
    """All commands of the page, typed into a shell one after another; a warning stops them."""
    folder = tmp_path_factory.mktemp("homework")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HYDRA_")}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    environment["PYTHONWARNINGS"] = "error"
    outputs = []
    for block in blocks("sh"):
        shell = ["bash", "-eo", "pipefail", "-c", block.text]
        done = subprocess.run(
            shell, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    return Printed(outputs, folder)


@pytest.mark.slow
@pytest.mark.parametrize("place", range(len(blocks("sh"))))
def test_every_command_prints_what_the_page_says(printed: Printed, place: int) -> None:
    following = blocks("sh", "text")
    here = [index for index, block in enumerate(following) if block.language == "sh"][place]
    answer = following[here + 1] if here + 1 < len(following) else following[here]
    if answer.language != "text":  # commands that draw
        assert "hw6.plot" in following[here].text
        return
    lines = iter(printed.outputs[place].splitlines())
    for quoted in answer.text.splitlines():
        assert any(same_line(quoted, line) for line in lines), f"{quoted!r} is not in\n{printed.outputs[place]}"


@pytest.mark.slow
def test_every_figure_of_the_page_is_drawn_by_a_command_of_the_page(printed: Printed) -> None:
    shown = re.findall(r'<img src="([^"]+)"', PAGE.read_text(encoding="utf-8"))
    assert shown
    for name in shown:
        assert (printed.folder / "docs" / name).stat().st_size > 10_000
        assert (PAGE.parent / name).stat().st_size < 150_000


def mentioned() -> list[str]:
    """Commands that stand in a sentence."""
    text = FENCE.sub("", PAGE.read_text(encoding="utf-8"))
    return [code for code in INLINE_CODE.findall(text) if code.startswith("python -m ")]


@pytest.mark.slow
@pytest.mark.parametrize("line", mentioned())
def test_commands_in_sentences_are_accepted(command: Command, line: str) -> None:
    words = shlex.split(line)
    assert words[:3] == ["python", "-m", "hw6.run"]
    assert words[words.index("-cn") + 1] in sweep_names()
    ran = command(*words[3:], "dry_run=true")
    assert ran.status == 0, ran.err
    assert ran.files == []


# --- the layer that Problem 4 asks for ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written() -> type[nn.Module]:
    """The class of the page's code."""
    (block,) = blocks("python")
    names: dict[str, type[nn.Module]] = {}
    exec(compile(block.text, str(PAGE), "exec"), names)
    return names["STMConvLayer"]


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def test_the_page_counts_parameters_as_the_modules_do(written: type[nn.Module]) -> None:
    assert count(written()) == count(FastLayer()) == 78_592
    text = problems()[4]
    mine, branch = MyConvLayer(), written().branches[0]  # type: ignore[index]
    for part in (mine.conv1, mine.conv2, mine.conv3, branch[0], branch[2], branch[4], branch, mine, FastLayer()):
        assert f"{count(part):,}" in text
    for sum_, total in re.findall(r"([\d,· +]+) = ([\d,]+)", text.replace("**", "")):
        products = [[int(factor.replace(",", "")) for factor in term.split("·")] for term in sum_.split("+")]
        assert sum(math.prod(factors) for factors in products) == int(total.replace(",", ""))


def test_the_page_s_layer_is_the_fast_one(written: type[nn.Module]) -> None:
    torch.manual_seed(0)
    fast, plain = FastLayer().double(), written().double()
    places = {"conv1": "0", "conv2": "2", "conv3": "4"}
    state = {
        re.sub("conv[123]", lambda match: places[match[0]], name): value
        for name, value in split_state(fast.state_dict()).items()
    }
    plain.load_state_dict(state)
    for shape in ((2, 256, 7, 5), (1, 256, 1, 1), (0, 256, 3, 3)):
        x = torch.randn(shape, dtype=torch.float64)
        torch.testing.assert_close(plain(x), fast(x), rtol=1e-12, atol=1e-12)


# --- links ----------------------------------------------------------------------------------------------------------


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub names them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", path.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_relative_links_and_images_lead_somewhere(page: Path) -> None:
    for groups in LINK.findall(without_code(page.read_text(encoding="utf-8"))):
        target = "".join(groups)
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), target
        assert path.is_relative_to(ROOT), target
        if anchor:
            assert anchor in anchors(path), target


def test_links_and_images_are_found_at_all() -> None:
    found = ["".join(groups) for groups in LINK.findall(without_code(PAGE.read_text(encoding="utf-8")))]
    assert {"homework_5.png", "mathematics/dropout.md", "#problem-1-dropout-and-activation"} <= set(found)
