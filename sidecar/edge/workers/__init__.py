"""Several worker processes of one sidecar on one port: a supervisor that serves nobody, and workers that are whole sidecars.

    supervisor   holds the sockets, starts workers on them, starts another for one that ends, passes on what signals ask for
    worker       accepts from the same sockets as its colleagues: engine, breakers and limits of its own
    admin port   any worker answers there, and asks its colleagues first where the answer is about all of them

A worker hears its supervisor on standard input and tells it on standard output, a line of JSON each:

    assigned     in the environment, before it starts: its number, the sockets, how often it was started before
    ready        it serves; at ``desk``, a port of its own on loopback, it can be asked about itself alone
    alive        each ``SIGN`` seconds; whoever is silent for ``SILENCE`` hangs, and is replaced
    colleagues   where everybody can be asked, at each change
    reload       read the files again
    leave        drain; ``relieved``: another sidecar has taken over; ``cut``: at once
    end of file  the supervisor is gone: drain

Words on a pipe and not signals, because a terminal or a service manager sends those to everybody at once, and twice is to cut.
The supervisor has no engine and speaks no HTTP: there is little in it that could fail.
"""
