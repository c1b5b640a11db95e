"""Pieces as Hydra jobs: the overrides of one, and the sweep's directory in the config that all are composed from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf, open_dict

from hw6.engines.contract import Orders, Piece
from hw6.errors import BadInput
from hw6.plan.text import ranges_text
from hw6.words import quoted

DIRECTORY = "hydra.sweep.dir="
NUMBER = "${hydra.job.num}"


def chunk_node(piece: Piece, orders: Orders) -> dict[str, Any]:
    """What the node ``chunk`` of a job's config says: which cells of which plan."""
    node = {
        "plan": orders.plan_file,
        "block": piece.chunk.block,
        "cells": ranges_text(piece.chunk.positions),
    }
    if (code := orders.code.get(orders.plan.blocks[piece.chunk.block].experiment.name)) is not None:
        node["code"] = code
    return node if piece.failure is None else node | {"failure": piece.failure}


def job_overrides(piece: Piece, orders: Orders) -> list[str]:
    """The overrides, in Hydra's grammar, of the job that runs a piece."""
    texts = [f"+chunk.{name}={_written(value)}" for name, value in chunk_node(piece, orders).items()]
    return [*orders.plan.blocks[piece.chunk.block].overrides, *texts]


def _written(value: Any) -> str:
    return str(value) if isinstance(value, int) or re.fullmatch(r"[\w.-]+", value) else quoted(value)


def typed_for_hydra(config: DictConfig) -> list[str]:
    """The overrides of Hydra's own config, as they were typed: they may interpolate what only a job has."""
    texts: list[str] = OmegaConf.to_container(config.hydra.overrides.hydra, resolve=False)  # type: ignore[assignment]
    return texts


def refuse_subdir(config: DictConfig) -> None:
    """Refuse jobs whose directories do not have their numbers for names: by these a sweep knows which are taken.

    Raises:
        BadInput: what was typed, and what is allowed.
    """
    text = str(OmegaConf.to_container(config.hydra.sweep, resolve=False)["subdir"])  # type: ignore[index, call-overload]
    if text != NUMBER:
        raise BadInput("hydra.sweep.subdir", text, f"must be {NUMBER}: a sweep counts its jobs by it", "leave it out")


def hand_directory(config: DictConfig, folder: Path) -> None:
    """Hand the sweep's directory to every job, whatever composes its config."""
    with open_dict(config):
        config.hydra.sweep.dir = str(folder)
        kept = [text for text in typed_for_hydra(config) if not text.startswith(DIRECTORY)]
        config.hydra.overrides.hydra = [*kept, f"{DIRECTORY}{quoted(str(folder))}"]


def result_of(returned: JobReturn) -> Any:
    """What a job returned, or its exception."""
    return returned.return_value if returned.status == JobStatus.COMPLETED else returned._return_value
