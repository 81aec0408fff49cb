"""Measures `miviewer` on a service of two years: pages, the API, live curves, the browser.

    python -m tests.benchmarks.viewer --store sqlite|mongo --n 1000000 --trials 10000 --keep DIR [--only TEXT]

Prints one JSON object a line: name, store, n (trainings), value, unit, and where there is one the floor of the same run
(the raw driver reading what the page shows) and the ratio to it. A page that this version does not have is skipped.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import quote

from mitorch_service.stores.base import Store
from tests.benchmarks import viewer_floors as floors
from tests.benchmarks.measuring import Scale, percentile, report, timed
from tests.benchmarks.viewer_browser import chromium, view
from tests.benchmarks.viewer_filling import JOB, Size, arguments, service
from tests.benchmarks.viewer_followers import following, reads_a_second, record_epochs
from tests.benchmarks.viewer_server import Answer, Server, serving

_WARM = 3
_PORT = 8890
_FOLLOWERS = 50
_SLOW_SECONDS = 1.0  # an address that takes longer is asked three times only


@dataclass(frozen=True)
class Page:
    """An address, and what the raw driver reads for it."""

    name: str
    addresses: Sequence[str]  # asked in turns
    reads: Sequence[floors.Read] = ()


def pages(size: Size) -> list[Page]:
    """The pages."""
    ended, running, long = [size.ended(number) for number in range(30)], size.running(), size.long()
    where = {name: f"/trainings?q={quote(text)}" for name, text in _FILTERS.items()}
    return [
        Page("queue", ["/"], floors.QUEUE),
        Page("training, ended", [f"/trainings/{id}" for id in ended], floors.curves_of(ended[:1])),
        Page("training, running", [f"/trainings/{id}" for id in running[:30]], floors.curves_of(running[:1])),
        Page("training of 1,000 epochs", [f"/trainings/{id}" for id in long[:30]], floors.curves_of(long[:1])),
        Page("trainings", ["/trainings"], floors.TABLE),
        Page("trainings, filter on an index", [where["indexed"]], floors.FAILED),
        Page("trainings, filter on a config", [where["config"]]),
        Page("trainings, filter that nothing passes", [where["nothing"]]),
        Page("searches", ["/jobs"], floors.JOBS),
        Page("search", [f"/jobs/{JOB}"], floors.JOB_READS),
        Page("compare 10", [f"/compare?ids={','.join(long[:10])}"], floors.rows_of(long[:10])),
        Page("compare 100", [f"/compare?ids={','.join(long)}"], floors.rows_of(long)),
        Page("data sets", ["/datasets"], floors.DATASETS),
        Page("status", ["/status"]),
    ]


def routes(size: Size) -> list[Page]:
    """The routes of the API."""
    long = size.long()
    curves = "/api/curves?measures=val_loss&ids="
    where = {name: f"/api/trainings?where={quote(text)}" for name, text in _FILTERS.items()}
    return [
        Page("api: training", [f"/api/trainings/{size.ended(0)}"], floors.rows_of(long[:1])),
        Page("api: curve of 1", [curves + long[0]], floors.curves_of(long[:1])),
        Page("api: curves of 10", [curves + ",".join(long[:10])], floors.curves_of(long[:10])),
        Page("api: curves of 100", [curves + ",".join(long)], floors.curves_of(long)),
        Page("api: trainings", ["/api/trainings"], floors.TABLE),
        Page("api: trainings, filter on an index", [where["indexed"]], floors.FAILED),
        Page("api: trainings, filter on a config", [where["config"]]),
        Page("api: trainings, filter that nothing passes", [where["nothing"]]),
    ]


_FILTERS = {
    "indexed": "status:failed",
    "config": "config.optimizer.weight_decay:<0.000002",
    "nothing": "config.batch_size:63",
}


def first_bytes(server: Server, page: Page, driver: floors.Driver, scale: Scale) -> None:
    """Reports the median and the 95th percentile of the time to the first byte, and the compressed size."""
    with closing(server.connect()) as connection:
        answers = [server.get(connection, page.addresses[number % len(page.addresses)]) for number in range(_WARM)]
        if answers[0].status != 200:
            if answers[0].status != 404:
                print(json.dumps({"name": page.name, "status": answers[0].status, "body": _beginning(answers[0])}))
            return
        count = scale.repeats if answers[-1].seconds < _SLOW_SECONDS else _WARM
        answers, least = [], []
        for number in range(count):
            answers.append(server.get(connection, page.addresses[number % len(page.addresses)]))
            least.append(timed(lambda: [driver.read(read) for read in page.reads]))
    times = [answer.seconds * 1000 for answer in answers]
    floor = statistics.median(least) * 1000 if page.reads else None
    report(f"{page.name}: first byte, median", statistics.median(times), "ms", floor, scale)
    report(f"{page.name}: first byte, p95", percentile(times, 95), "ms", scale=scale)
    report(f"{page.name}: size", answers[0].size / 1000, "kB", scale=scale)


def live(server: Server, store: Store, size: Size, scale: Scale) -> None:
    """Fifty clients follow fifty running trainings, then all the same one."""
    running = size.running()
    for name, ids in (("a training each", running), ("one training", running[:1] * _FOLLOWERS)):
        memory, before = [server.memory()], server.cpu_seconds()
        with following(server.port, [f"/api/events/curves?ids={id}" for id in ids]) as found:
            begin = time.monotonic()
            for _ in record_epochs(store, sorted(set(ids)), 8, found.written):
                memory.append(server.memory())
            share = (server.cpu_seconds() - before) / (time.monotonic() - begin)
        if found.problems:
            print(json.dumps({"name": f"live, {name}", "problems": found.problems[:3]}))
        who = f"live, {_FOLLOWERS} clients, {name}"
        report(f"{who}: memory of the server", max(memory), "MB", scale=scale)
        report(f"{who}: events of each", statistics.median(found.events), "", scale=scale)
        report(f"{who}: from the record to the client", 1000 * statistics.median(found.seconds), "ms", scale=scale)
        report(f"{who}: processor", 100 * share, "%", scale=scale)


def in_browser(server: Server, size: Size, scale: Scale) -> None:
    """Reports when the first view is complete, how much it moves, and what is loaded."""
    shown = {
        "queue": "/",
        "training": f"/trainings/{size.long()[0]}",
        "running training": f"/trainings/{size.running()[0]}",
        "trainings": "/trainings",
        "search": f"/jobs/{JOB}",
        "compare 10": f"/compare?ids={','.join(size.long()[:10])}",
    }
    with chromium() as browser, closing(server.connect()) as connection:
        for name, address in shown.items():
            if server.get(connection, address).status != 200:
                continue
            views = [view(browser, server.url + address) for _ in range(6)][1:]
            report(f"{name}: first view complete", statistics.median(v.lcp for v in views), "ms", scale=scale)
            report(f"{name}: layout shift", max(v.shift for v in views), "", scale=scale)
            report(f"{name}: loaded", max(v.kilobytes for v in views), "kB", scale=scale)
            if moved := max(views, key=lambda v: v.shift).shifts:
                print(json.dumps({"name": f"{name}: moved", "what": moved[:5]}), flush=True)


def _beginning(answer: Answer) -> str:
    return answer.body[:300].decode(errors="replace")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=30, help="requests of which the median is taken")
    parser.add_argument("--only", metavar="TEXT", default="", help="figures whose name has this in it")
    parser.add_argument("--port", type=int, default=_PORT)
    given = parser.parse_args()
    size = Size(given.n, given.trials)
    scale = Scale(given.store, given.n, given.repeats)
    print(json.dumps({"load": os.getloadavg()}), flush=True)
    with (
        service(given.store, size, given.keep) as database,
        closing(floors.open_driver(database)) as driver,
        closing(database.open()) as store,
        serving(database, given.port) as server,
    ):
        report("server after its start: memory", server.memory(), "MB", scale=scale)
        for page in [*pages(size), *routes(size)]:
            if given.only in page.name:
                first_bytes(server, page, driver, scale)
        if given.only in "live":
            live(server, store, size, scale)
            one = f"/api/events/curves?ids={size.running()[0]}"
            reads = reads_a_second(database, one, _FOLLOWERS, 5.0)
            report(f"live, {_FOLLOWERS} clients, one training: queries", reads, "1/s", scale=scale)
        if given.only in "browser":
            in_browser(server, size, scale)
        report("server at the end: memory", server.memory(), "MB", scale=scale)


if __name__ == "__main__":
    main()
