"""midataset split: divide a data set into train, val and test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from mitorch_service.cli.parameters.completed_values import complete_datasets
from mitorch_service.cli.parameters.parameter_types import FilePath, Number, WholeNumber, Word

if TYPE_CHECKING:
    from mitorch_service.operations.datasets.dataset_split import FindClusters, Source, WrittenSplit
    from mitorch_service.training.data.splitting.split_request import By

_SEEDS = WholeNumber(min=0, max=2**31 - 1)


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="NAME[:V]|FILES…", shell_complete=complete_datasets)
@click.option("--val", type=Number(min=0, max=1, max_open=True), default=0.2, show_default=True, help="Its fraction.")
@click.option("--test", type=Number(min=0, max=1, max_open=True), default=0.0, show_default=True, help="Its fraction.")
@click.option(
    "--by",
    type=Word(["random", "group", "embedding"]),
    default="random",
    show_default=True,
    help="group: as --group says, or frames of one recording by their names. embedding: by what images look like.",
)
@click.option(
    "--group",
    metavar="REGEX|COLUMN",
    help="Images that stay together: a regular expression on paths, or a column of CSV.",
)
@click.option("--backbone", metavar="MODEL|WEIGHTS", help="Of --by embedding: weights, or a model's pretrained ones.")
@click.option("--untrained", is_flag=True, help="Take the MODEL of --backbone with random weights.")
@click.option("--clusters", type=WholeNumber(min=2, max=1000), help="How many. [default: by the silhouette score]")
@click.option("--rare-to-train", is_flag=True, help="Classes with too few images for all parts go to train.")
@click.option("--seed", type=_SEEDS, default=0, show_default=True, help="Decides the draw.")
@click.option(
    "-o",
    "--output",
    type=FilePath(file_okay=False, path_type=Path),
    required=True,
    help="The folder for train, val, labels.txt and split.json.",
)
@click.option("--plot", type=FilePath(dir_okay=False, path_type=Path), help="Draw the map of --by embedding (PNG).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def split(
    sources: tuple[str, ...],
    val: float,
    test: float,
    by: str,
    group: str | None,
    backbone: str | None,
    untrained: bool,
    clusters: int | None,
    rare_to_train: bool,
    seed: int,
    output: Path,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Divide all images of a registered data set, or of FILES in any format, into train, val and perhaps test: each
    class in the same proportion, and images of one group together.

    The same images and seed give the same parts, in whatever order they are listed. OUTPUT can be registered, or given
    to mitrain: its lists name the images where they are.
    """
    from mitorch_service.cli.views.pages.output import show_json
    from mitorch_service.operations.datasets.dataset_split import split_source
    from mitorch_service.training.data.splitting.split_request import SplitRequest

    _check_embedding(by, backbone, {"--untrained": untrained, "--clusters": clusters, "--plot": plot})
    request = SplitRequest(val, test, cast("By", by), group, seed, rare_to_train)
    request.fractions()
    source = _read(sources)
    embedding = None
    if backbone is not None:
        from mitorch_service.training.embedding.clustering import ClusterSearch, EmbeddingChoice

        embedding = ClusterSearch(EmbeddingChoice(backbone, untrained, clusters, seed), report=_tell)
    written = split_source(source, request, output, cast("FindClusters | None", embedding))
    if plot is not None and embedding is not None:
        embedding.draw(written.split.of_image, source.images, plot)
    if source.remark:
        _tell(source.remark)
    if as_json:
        show_json(written.record)
        return
    _show(written, output, plot)


def _check_embedding(by: str, backbone: str | None, others: dict[str, object]) -> None:
    from mitorch_service.errors import InvalidInput, Problem

    if by == "embedding":
        if backbone is None:
            remedy = "is needed: WEIGHTS of a training on such images, or a MODEL whose pretrained weights are fetched"
            raise InvalidInput("midataset split", [Problem("--backbone", remedy)])
        return
    given = [name for name, value in {"--backbone": backbone, **others}.items() if value]
    if given:
        raise InvalidInput("midataset split", [Problem(given[0], "is for --by embedding: add that, or leave it out")])


def _read(sources: Sequence[str]) -> Source:
    """Files where there are such, else a registered data set."""
    from mitorch_service.cli.parameters.arguments import dataset_ref
    from mitorch_service.errors import InvalidInput, Problem
    from mitorch_service.operations.datasets.dataset_split import paths_of, read_source
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_store

    if len(sources) > 1 or Path(sources[0]).exists():
        missing = [name for name in sources if not Path(name).exists()]
        if missing:
            raise InvalidInput("midataset split", [Problem(missing[0], "there is no such file or folder")])
        return read_source({name: Path(name) for name in sources}, sources[0], sources)
    dataset = open_store(read_settings()).datasets.get_dataset(dataset_ref("NAME|FILES", sources[0]))
    return read_source(paths_of(dataset), str(dataset.ref), [str(dataset.ref)])


def _show(written: WrittenSplit, output: Path, plot: Path | None) -> None:
    from mitorch_service.cli.views.pages.output import show_table
    from mitorch_service.cli.views.pages.page import Column

    parts = written.split.parts
    images = [["images", *map(len, parts.values())]]
    classes = next(iter(parts.values())).classes
    rows = [[name, *(written.split.counts[part][name] for part in parts)] for name in classes]
    what = "boxes" if next(iter(parts.values())).kind == "detection" else "images"
    show_table(f"split, with the {what} of each class", [Column("class", 0, 12), *map(Column, parts)], images + rows)
    if "groups" in written.record:
        groups = written.record["groups"]
        click.echo(f"groups  {groups['count']}, none divided ({groups['rule']})")
    if "clusters" in written.record:
        click.echo(f"clusters  {written.record['clusters']['count']} ({written.record['clusters']['chosen_by']})")
    for path in (*written.files.values(), output / "split.json", *([] if plot is None else [plot])):
        click.echo(f"wrote  {path}")


def _tell(text: str) -> None:
    click.echo(text, err=True)
