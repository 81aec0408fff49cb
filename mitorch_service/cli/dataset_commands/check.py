"""midataset check: find images that two splits share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mitorch_service.cli.parameters.completed_values import complete_datasets
from mitorch_service.cli.parameters.parameter_types import FilePath

if TYPE_CHECKING:
    from mitorch_service.operations.datasets.dataset_leaks import CheckedDataset

_SHOWN = 20


@click.command()
@click.argument("ref", metavar="NAME[:V]", shell_complete=complete_datasets)
@click.option(
    "--group", metavar="REGEX|COLUMN", help="Images of one recording. [default: by their names, if those tell]"
)
@click.option("--backbone", metavar="MODEL|WEIGHTS", help="Its embeddings decide on near-duplicates.")
@click.option("--untrained", is_flag=True, help="Take the MODEL of --backbone with random weights.")
@click.option("--sheet", type=FilePath(dir_okay=False, path_type=Path), help="Draw the first pairs here (PNG).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, with all pairs.")
def check(
    ref: str, group: str | None, backbone: str | None, untrained: bool, sheet: Path | None, as_json: bool
) -> None:
    """Find images of a split that a split before it has, too: the same file or content, near-duplicates (re-encoded,
    resized, slightly cropped), and frames of one recording. Metrics measured on them say little.

    The counts are kept with the data set; trainings on it then report the metrics without these images, too.
    """
    from mitorch_service.cli.parameters.arguments import dataset_ref
    from mitorch_service.errors import InvalidInput, Problem
    from mitorch_service.operations.datasets.dataset_leaks import check_dataset
    from mitorch_service.settings import read_settings
    from mitorch_service.wiring import open_store

    if untrained and backbone is None:
        raise InvalidInput("midataset check", [Problem("--untrained", "is for --backbone MODEL: add that")])
    compare = None
    if backbone is not None:
        from mitorch_service.training.embedding.similarity import open_comparison

        compare = open_comparison(backbone, untrained=untrained)
    store = open_store(read_settings())
    checked = check_dataset(store, store.datasets.get_dataset(dataset_ref("NAME", ref)), group, compare)
    if sheet is not None and checked.report.leaks:
        from mitorch_service.training.data.leaks.leak_sheet import draw_leaks

        draw_leaks(checked.report.leaks, checked.lists, f"shared by the splits of {checked.dataset.ref}", sheet)
    if as_json:
        _print_json(checked)
        return
    _show(checked, sheet)


def _print_json(checked: CheckedDataset) -> None:
    from dataclasses import asdict

    from mitorch_service.cli.views.pages.output import show_json

    report = checked.report
    show_json(
        {
            "dataset": str(checked.dataset.ref),
            "images": report.images,
            "counts": report.counts(),
            "recordings": report.recordings or None,
            "damaged": report.damaged,
            "seconds": round(checked.seconds, 2),
            "leaks": [asdict(leak) for leak in report.leaks],
        }
    )


def _show(checked: CheckedDataset, sheet: Path | None) -> None:
    from mitorch_service.cli.views.pages.output import show_table
    from mitorch_service.wording.counted import are, counted

    report = checked.report
    counts = report.counts()
    kinds = [kind for kind in next(iter(counts.values()), {}) if kind != "same recording" or report.recordings]
    rows = [[split, report.images[split], *(found[kind] for kind in kinds)] for split, found in counts.items()]
    show_table("images that a split before has, too", ["split", "images", *kinds], rows)
    if report.recordings:
        click.echo(f"recordings  {report.recordings}")
    if report.damaged:
        damaged = counted(len(report.damaged), "image")
        click.echo(f"{damaged} {are(len(report.damaged))} damaged, the first: {report.damaged[0]}", err=True)
    if report.leaks:
        pairs = [[leak.kind, leak.image, leak.other_image] for leak in report.leaks[:_SHOWN]]
        show_table("the surest first", ["kind", "image", "like"], pairs)
        if len(report.leaks) > _SHOWN:
            click.echo(f"… and {len(report.leaks) - _SHOWN:,} more (--json lists all)")
    if sheet is not None:
        click.echo(f"sheet  {sheet}" if report.leaks else "nothing to draw")
    click.echo(f"looked at all images in {checked.seconds:.1f} s")
