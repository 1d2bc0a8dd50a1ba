"""The net under the core: generated worlds, driven on virtual time, and everything that must hold whatever happens in them.

``python -m tests.soak`` runs a million calls on both cores and prints a table (``make soak``); the tests here run a hundred thousand.

    world      what happens, as a small tree of values: who comes, how targets behave, reloads, overrides, power states, leaps of the clock
    generate   a world from one number, the same for the same number
    stage      performs a world with the simulator, on a clock that may leap as after a suspend
    watch      follows every fact and every step of every call, and raises ``Violation`` at the first that should not be
    machines   naive models of breaker, limiter, retry budget and latencies, made from the facts alone
    verdicts   what an outcome means, as a literal table
    check      one world: performed, watched, at rest in the end; a sample of them told twice and replayed from its journal
    shrink     the smallest world in which the same promise is still broken, as Python that can be pasted into a test
    campaign   many worlds, and what came of them
    mutants    deliberate faults, each of which the net must hold

Nothing here asks the core what would be right. The models are written from DESIGN and the docstrings, in another way than
the core is; where both are wrong in the same way, the promises that need no model (one end per call, in time, nothing held, no
unsafe request sent twice, attempts bounded by calls) still hold or do not.
"""
