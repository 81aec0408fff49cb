"""Replies of clusters, files and messages of runs, workloads for a replay."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.backends.run_files import ended_run, log_end
from mitorch_service.backends.slurm.commands import SlurmCommands
from mitorch_service.backends.slurm.job_queue import JobQueue
from mitorch_service.backends.slurm.partition import Partition
from mitorch_service.cluster_settings.slurm_cluster import SlurmCluster
from mitorch_service.controller.timed_pass import last_pass
from mitorch_service.errors import DataError
from mitorch_service.insights.replaying.replay_clusters import given_clusters
from mitorch_service.insights.replaying.workload_file import read_workload
from mitorch_service.insights.training.training_files import read_table, worst_mistakes
from mitorch_service.runs.delivery import kept_work
from mitorch_service.runs.script.calls import ScriptCalls
from mitorch_service.runs.script.script_checkpoints import ScriptCheckpoints
from mitorch_service.submission.receipt import ReceiptFile
from mitorch_service.training.loop.reporter import NullReporter
from tests.fuzzing.target import Target
from tests.samples import NOW, a_training

_CLUSTER = SlurmCluster(name="s", kind="slurm", partition="gpu")


class _Replies(SlurmCommands):
    """Slurm's commands, all of which say the same."""

    def __init__(self, text: str) -> None:
        super().__init__(_CLUSTER)
        self._text = text

    def run(self, *command: str, stdin: str = "") -> str:
        return self._text


def _slurm(ask: Callable[[JobQueue], object]) -> Callable[[bytes, Path], object]:
    return lambda content, folder: ask(JobQueue(_CLUSTER, _Replies(content.decode("utf-8", "replace"))))


def _nodes(queue: JobQueue) -> None:
    partition = Partition(_CLUSTER, queue)
    partition.capacity(queue.our_jobs())
    partition.node_gpus()


def _run_folder(content: bytes, folder: Path) -> None:
    for name in ("exit.json", "log.txt"):
        (folder / name).write_bytes(content)
    ended_run(folder)
    log_end(folder / "log.txt", 1000)


def _script_call(content: bytes, folder: Path) -> None:
    """One call, as the channel reads it: what is refused is told to the script."""
    artifacts = FolderArtifactStore(folder / "artifacts")
    calls = ScriptCalls(NullReporter(), ScriptCheckpoints(artifacts, "1", 1), lambda: NOW, 0)
    try:
        message = json.loads(content)
        calls.answer(message if isinstance(message, dict) else {})
        for result in calls.recent:
            json.dumps(result.to_document(), default=str, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        if isinstance(error, UnicodeEncodeError):
            raise
        raise DataError(str(error) or type(error).__name__) from error


def _kept(content: bytes, folder: Path) -> None:
    training = a_training(id="1" * 32)
    (folder / training.id).mkdir(exist_ok=True)
    (folder / training.id / "end.json").write_bytes(content)
    kept_work(folder, training)


def _receipt(content: bytes, folder: Path) -> None:
    (folder / "r.json").write_bytes(content)
    ReceiptFile(folder / "r.json").load()


def _last_pass(content: bytes, folder: Path) -> None:
    (folder / "controller").mkdir(exist_ok=True)
    (folder / "controller" / "last_pass.json").write_bytes(content)
    last_pass(FolderArtifactStore(folder))


def _table(content: bytes, folder: Path) -> None:
    (folder / "1").mkdir(exist_ok=True)
    (folder / "1" / "p.csv").write_bytes(content)
    worst_mistakes(read_table(FolderArtifactStore(folder), "1", "p.csv", 20), 5)


def _workload(name: str) -> Callable[[bytes, Path], None]:
    def parse(content: bytes, folder: Path) -> None:
        (folder / name).write_bytes(content)
        read_workload(folder / name)

    return parse


_SQUEUE = (
    b"12|RUNNING|1|None|2026-11-29T10:00:00|2026-11-29T10:00:05|mt-x-a1|mitorch:s\n13_4|PENDING|2|QOSMax|N/A|N/A|mt|y\n"
)
_SINFO = b"n1|idle|8|gpu*|gpu:a100:4(S:0-1),shard:8\nn2|down*|8|gpu|(null)\n"
_REPORT = b'{"verb": "report", "epoch": 1, "train_loss": 0.5, "metrics": {"a": 1}, "learning_rate": null}'
_SACCT = b"12|mt|COMPLETED|0:0\n13|mt|CANCELLED by 0|0:15\n"
_JOB = {"submitted": 0, "seconds": 60, "nodes": 2, "user": "ada", "gpus": 1, "clusters": ["a"]}
_PASS = {"event": "pass", "at": NOW.isoformat(), "seconds": 1.0}
_SWF = b"; MaxProcs: 64\n; MaxNodes: 8\n1 0 5 60 8 -1 -1 8 60 -1 1 3 4 5 -1 -1 -1 -1\n"
TARGETS = (
    Target("squeue", _slurm(lambda queue: (queue.jobs_named(["mt-x-a1", "mt"]), queue.our_jobs())), (_SQUEUE,)),
    Target("sinfo", _slurm(_nodes), (_SINFO, _SQUEUE), (b"gpu:", b"idle")),
    Target("sacct", _slurm(lambda queue: queue.last_rows(["mt"], NOW - timedelta(days=1))), (_SACCT,)),
    Target("run-exit", _run_folder, (b'{"code": 0}', b'{"code": -9, "reason": "x"}')),
    Target(
        "script-call",
        _script_call,
        (_REPORT, b'{"verb": "checkpoint", "path": "/nowhere"}', b'{"verb": "should_stop"}'),
    ),
    Target("run-kept", _kept, (b'{"fingerprint": "x", "uploads": [], "end": {"outcome": "completed"}, "epochs": 1}',)),
    Target(
        "receipt",
        _receipt,
        (b'{"source": "x", "content": "y", "round": 1, "total": 2, "done": 1, "started_at": "2026-01-01"}',),
    ),
    Target("last-pass", _last_pass, (json.dumps(_PASS).encode(),)),
    Target("plots-table", _table, (b"file,label,prediction,probability,correct\na.png,x,y,0.5,0\n",)),
    Target("workload", _workload("w.jsonl"), (json.dumps(_JOB).encode() + b"\n",)),
    Target("workload-swf", _workload("w.swf"), (_SWF,)),
    Target(
        "replay-clusters",
        lambda content, _: given_clusters(content.decode("utf-8", "surrogateescape")),
        (b'[{"name": "a", "nodes": 4, "gpus": 2, "data": ["x"]}]',),
    ),
)
