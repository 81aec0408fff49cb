"""Exit codes of `mirun` that the controller interprets."""

# Something around the training failed, not the training itself (EX_TEMPFAIL of sysexits.h).
EXIT_INFRASTRUCTURE = 75
