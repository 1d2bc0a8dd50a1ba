"""Everything that switch and madre can do wrong, and what a client must get all the same.

    target      a server that does it, byte by byte, and remembers what it was asked
    catalogue   the faults: what is done on the wire, and what that is to the engine
    model       who must answer then, and why: the ladder once more, in thirty lines that share no code with it
    live        real sidecars, sockets and seconds
    virtual     the engine on virtual time, for every pair of faults

``python -m benchmarks.faults`` prints the table; ``--brief`` is the form of the tests.
"""
