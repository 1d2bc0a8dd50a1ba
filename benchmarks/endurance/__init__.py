"""A soak test: an hour at half of what it can do, with targets that misbehave, reloads and overrides, and what that leaves behind.

    python -m benchmarks.endurance [--minutes 60] [--seed N] [--brief]

What grows with every chat is a leak, what is not given back when everybody has left is one too, and neither shows in a test of seconds. So
the process is looked at every few seconds for as long as the run lasts, and once more when all is over. The sidecar is ``sidecar serve``
on its fastest loop with journal and log, and a look in its process (``watched``); load and targets share one other process.
"""
