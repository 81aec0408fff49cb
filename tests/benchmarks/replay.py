"""How long it takes to replay 100,000 trainings (`micontrol replay`), and how much memory.

python -m tests.benchmarks.replay [TRAININGS]
"""

from __future__ import annotations

import json
import random
import resource
import sys
import time

from mitorch_service.controller.replay.simulation import replay
from mitorch_service.controller.replay.work import Nodes, Work
from mitorch_service.placement_settings.policy import FIRST_COME, FairShare, Policy

NODES = 64
USERS = 20
POLICIES = {
    "first come": FIRST_COME,
    "fair share": Policy(fair_share=FairShare(by="user")),
    "fair share, backfill": Policy(fair_share=FairShare(by="user"), backfill=True),
}


def workload(count: int) -> list[Work]:
    """Trainings of 35 minutes on average, a tenth of them of several nodes, as fast as the nodes can take them."""
    draw, at, works = random.Random(1), 0.0, []
    for _ in range(count):
        user, kind = min(int(draw.expovariate(0.25)), USERS - 1), draw.randrange(30)
        nodes = draw.choice([1] * 18 + [2, 4])
        seconds = 120.0 * (kind + 3) * draw.uniform(0.95, 1.05)
        at += draw.expovariate(NODES / (1.2 * 2100.0))
        works.append(Work(at, seconds, nodes, f"user{user}", dataset=f"set{kind}"))
    return works


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    works = workload(count)
    clusters = [Nodes("lab", NODES // 2), Nodes("cloud", NODES // 2, price=1.0)]
    for name, policy in POLICIES.items():
        began, used = time.monotonic(), time.process_time()
        course = replay(works, clusters, policy)
        line = {
            "figure": f"replay, {name}",
            "trainings": len(course.placed),
            "passes": course.passes,
            "backfilled": sum(one.backfilled for one in course.placed),
            "seconds": round(time.monotonic() - began, 1),
            "cpu_seconds": round(time.process_time() - used, 1),
            "memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
