"""Azure Machine Learning on loopback, for tests: what the unmodified SDKs see behind an HTTPS proxy.

    with running(folder) as emulator:                 # client.py: a process of its own
        emulator.populate()                           # one principal, workspace and cluster; their names are there too
        environment = emulator.environment(home)      # for a subprocess that uses the SDK, or for monkeypatch
        emulator.faults.drop_after(operation="submit")
        emulator.wait(run_id, "Running"); emulator.preempt(run_id)
        emulator.traffic(), emulator.refused(), emulator.left_loopback()

One module per service (`ROUTES` say what it answers), `state.py` holds all data, `nodes.py` and `jobs.py` run what is
submitted: with this interpreter, the environment of the request is kept and never built. What is assumed of real Azure
and was never seen there: 409 for a run id that is used again, the words and codes of errors, the filter's grammar, the
states of a preempted run, `jobs?tag=`; that run history shows a new run late (`history_lag`) and does not know an
experiment before its first run; that only words for people tell why a run failed.
"""
