"""Words for the images that a split shares with those before it."""

from __future__ import annotations

from mitorch_service.models.dataset import SplitLeaks


def leak_text(leaks: SplitLeaks) -> str:
    """The kinds that were found with their counts, and what was not looked for."""
    found = ", ".join(f"{count:,} {kind}" for kind, count in leaks.found().items()) or "none found"
    rule = f" ({leaks.recordings})" if leaks.same_recording else ""
    unknown = "; near-duplicates: see midataset check" if leaks.near_duplicates is None else ""
    return f"{found}{rule}{unknown}; took {leaks.seconds:.2f} s"
