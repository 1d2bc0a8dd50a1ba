"""Outages over time: what clients get before, during and after, and how soon all is as before.

    upstream    switch and madre as they are in a drill: so many chats at a time, in turn, and what befalls them when
    setting     what is played: a policy, a load, an upstream and its trouble; and what came of it
    notes       what sidecars tell of attempts and breakers, by their facts
    virtual     a setting on virtual time: the engine, one or twenty, and no socket
    live        the same with real sidecars, sockets and seconds
    figures     what is read off a run
    drills      the four of them, with their tables and what each claims

``python -m benchmarks.outages`` prints a table for each drill; ``--brief`` is the form of the tests.
"""
