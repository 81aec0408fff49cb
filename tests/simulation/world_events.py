"""Everything that can happen to a world: each is one step of a history."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mitorch_service.errors import NotAllowed
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.status import ACTIVE_JOBS, RETRYABLE
from tests.simulation.scheduler import Fate
from tests.simulation.simulated_cluster import Run
from tests.simulation.world import OFFSETS, World

Event = Callable[[World], None]
_SPANS = (30.0, 400.0, 2400.0, 5400.0)  # seconds that troubles last
_STOPS: tuple[float | None, ...] = (40.0, 1000.0, 4000.0, None)  # that a process is stopped; None: for good


def another_pass(world: World) -> None:
    """Starts a pass beside those that there are."""
    if sum(p.name == "pass" for p in world.processes()) < 3:
        world.start_pass()


def evict(world: World) -> None:
    """Kills a run and whatever guards it; its cluster notices."""
    run = _run(world)
    if run is not None:
        world.witness.note(f"{_name(run)} is evicted")
        run.preempted = world.choices.below(2) == 1
        _cluster(world, run).evict(run)


def restart(world: World) -> None:
    """Preempts a run, which its cluster starts again under the same name."""
    run = _run(world)
    if run is not None:
        world.witness.note(f"{_name(run)} is preempted and restarted")
        _cluster(world, run).restart(run)


def double(world: World) -> None:
    """Lets a cluster start a run again elsewhere that it believes to be dead, while it goes on."""
    run = _run(world)
    if run is not None:
        world.witness.note(f"{_name(run)} is believed to be dead, and restarted")
        _cluster(world, run).restart(run, dies=False)


def forget(world: World) -> None:
    """Lets a cluster forget a run, which is gone."""
    run = _run(world)
    if run is not None:
        world.witness.note(f"{_name(run)} is gone without a trace")
        _cluster(world, run).evict(run)
        run.known = False


def power_cut(world: World) -> None:
    """Kills a run with its guard and its node; its cluster notices much later."""
    run = _run(world)
    if run is not None:
        world.witness.note(f"{_name(run)} has no power")
        _cluster(world, run).cut(run, _span(world))


def part(world: World) -> None:
    """Lets a cluster believe that a run is dead, while it goes on."""
    run = _run(world)
    if run is not None and run.live:
        world.witness.note(f"{_name(run)} is believed to be dead")
        _cluster(world, run).end(run, RunState.KILLED, "the node does not answer")


def unsure(world: World) -> None:
    """Lets a cluster report a state that nobody knows."""
    run = _run(world)
    if run is not None and run.state == RunState.RUNNING:
        run.unsure_until = world.scheduler.now + 500.0


def stop_process(world: World) -> None:
    """Stops any process (SIGSTOP), perhaps for good if it is a run."""
    processes = world.processes()
    if processes:
        process = processes[world.choices.below(len(processes))]
        seconds = _STOPS[world.choices.below(len(_STOPS) - (process.name == "pass"))]
        world.witness.note(f"{process.name} is stopped for {seconds} s")
        world.scheduler.stop(process, seconds)


def hang(world: World) -> None:
    """Stops a run for good."""
    run = _run(world)
    if run is not None and run.process is not None:
        world.scheduler.stop(run.process, None)


def stop_pass(world: World) -> None:
    """Stops a pass."""
    passes = [process for process in world.processes() if process.name == "pass"]
    if passes:
        world.scheduler.stop(passes[world.choices.below(len(passes))], _SPANS[world.choices.below(3)])


def set_clock(world: World) -> None:
    """Sets the clock of a process."""
    processes = world.processes()
    if processes:
        process = processes[world.choices.below(len(processes))]
        process.offset = OFFSETS[world.choices.below(len(OFFSETS))]


def set_database_clock(world: World) -> None:
    """Sets the clock of the database, by which all go: another node has become the primary."""
    world.database.offset = OFFSETS[world.choices.below(len(OFFSETS))]
    world.witness.note(f"the clock of the database is {world.database.offset:.0f} s ahead")


def database_away(world: World) -> None:
    """Takes the database away."""
    world.trouble.database = world.scheduler.now + _span(world)
    world.witness.note(f"the database is away until {world.trouble.database:.0f} s")


def throttle(world: World) -> None:
    """Lets the database refuse a third of the calls."""
    world.trouble.throttled = world.scheduler.now + _span(world)
    world.witness.note("the database throttles")


def storage_full(world: World) -> None:
    """Lets nothing be written on the machines, and no artifact."""
    world.trouble.storage = world.scheduler.now + _span(world)
    world.witness.note(f"the storage is full until {world.trouble.storage:.0f} s")


def cluster_away(world: World) -> None:
    """Takes a cluster away from the controllers; its runs go on."""
    cluster = list(world.clusters.values())[world.choices.below(2)]
    cluster.down_until = world.scheduler.now + _span(world)
    world.witness.note(f"cluster {cluster.name} does not answer until {cluster.down_until:.0f} s")


def cluster_refuses(world: World) -> None:
    """Lets a cluster refuse new runs."""
    cluster = list(world.clusters.values())[world.choices.below(2)]
    cluster.refuses_until = world.scheduler.now + _span(world)
    world.witness.note(f"cluster {cluster.name} refuses until {cluster.refuses_until:.0f} s")


def answers_omit(world: World) -> None:
    """Lets answers lack runs."""
    world.trouble.omitted = world.scheduler.now + _span(world)


def cluster_removed(world: World) -> None:
    """Removes the second cluster from the settings; its runs go on."""
    world.trouble.no_second = world.scheduler.now + _SPANS[world.choices.below(2)]
    world.witness.note("cluster two is taken from the settings")


def submit(world: World) -> None:
    """Queues one more training."""
    if len(world.witness.trainings) < 8:
        world.submit(98 + world.choices.below(5))


def cancel(world: World) -> None:
    """Cancels a training."""
    known = _training(world)
    if known is not None:
        try:
            world.store.queue.request_cancel(known, world.time())
        except NotAllowed:
            return


def prioritise(world: World) -> None:
    """Changes a training's place in the queue."""
    known = _training(world)
    if known is not None:
        try:
            world.store.queue.set_priority(known, 95 + world.choices.below(10))
        except NotAllowed:
            return


def retry(world: World) -> None:
    """Retries a training that has ended badly."""
    ended = [
        k for k in world.witness.trainings.values() if k.status in RETRYABLE and not k.poisoned and k.status != "paused"
    ]
    ended = [k for k in ended if k.id in world.own]
    if ended:
        known = ended[world.choices.below(len(ended))]
        known.retry_ordered = True
        world.store.queue.retry_training(known.id, world.time())


def cancel_job(world: World) -> None:
    """Cancels the search."""
    if world.jobs and world.jobs[0] not in world.poisoned_jobs:
        try:
            world.store.jobs.request_job_cancel(world.jobs[0], world.time())
        except NotAllowed:
            return


def poison(world: World) -> None:
    """Damages the document of a training."""
    known = _training(world)
    if known is not None and known in world.own:
        found = world.witness.trainings[known]
        if found.status not in ("new", "queued", "running"):
            return
        field, value = _POISONS[world.choices.below(len(_POISONS))]
        world.poison(known, field, value)


def poison_job(world: World) -> None:
    """Damages the document of the search."""
    if world.jobs and world.job_status(world.jobs[0]) in ACTIVE_JOBS:
        field, value = _JOB_POISONS[world.choices.below(len(_JOB_POISONS))]
        world.poison_job(world.jobs[0], field, value)


_JOB_POISONS: Sequence[tuple[str, object]] = (
    ("search", "none"),
    ("config", 7),
    ("counts", "many"),
    ("created_at", "yesterday"),
    ("search", {"algorithm": "random", "max_trials": "x"}),
)
_POISONS: Sequence[tuple[str, object]] = (
    ("attempts", "none"),
    ("created_at", "yesterday"),
    ("attempt", 77),
    ("priority", "high"),
    ("trial", {"number": "x"}),
)

EVENTS: Sequence[tuple[int, Event]] = (
    (8, another_pass),
    (6, evict),
    (4, restart),
    (3, double),
    (3, forget),
    (2, power_cut),
    (7, part),
    (2, unsure),
    (6, stop_process),
    (3, set_clock),
    (2, set_database_clock),
    (3, database_away),
    (3, throttle),
    (2, storage_full),
    (3, cluster_away),
    (2, cluster_refuses),
    (2, answers_omit),
    (1, cluster_removed),
    (4, submit),
    (3, cancel),
    (4, prioritise),
    (2, retry),
    (1, cancel_job),
    (1, poison),
    (1, poison_job),
)
FATES: Sequence[tuple[int, Fate]] = (
    (6, Fate.FAILS_BEFORE),
    (8, Fate.FAILS_AFTER),
    (2, Fate.FAILS_HALF),
    (5, Fate.REPEATED),
    (7, Fate.DIES_AFTER),
    (7, Fate.LATE),
)


def _run(world: World) -> Run | None:
    runs = world.live_runs()
    return runs[world.choices.below(len(runs))] if runs else None


def _training(world: World) -> str | None:
    known = [id for id, one in world.witness.trainings.items() if not one.poisoned]
    return known[world.choices.below(len(known))] if known else None


def _cluster(world: World, run: Run):  # type: ignore[no-untyped-def]
    return next(cluster for cluster in world.clusters.values() if cluster.runs.get(run.name) is run)


def _span(world: World) -> float:
    return _SPANS[world.choices.below(len(_SPANS))]


def _name(run: Run) -> str:
    return f"run {run.name[3:11]} {run.name.rsplit('-', 1)[1]}"
