"""Commands of ours, started by forking a process that has imported what they need.

Starting Python and importing the packages is most of what a short command costs, and PyTorch's import most of what a
tiny training costs. A forked command is a process of its own, with arguments, environment, folder, streams, signals
and exit code of its own; only its imports are shared. What is tested about the start itself starts Python as usual.
The workers of pytest-xdist are forked in the same way, where all tests are run.
"""
