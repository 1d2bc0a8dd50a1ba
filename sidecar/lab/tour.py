"""What to try in the lab, printed for somebody who sees it for the first time."""

from __future__ import annotations

_TOUR = """\
A small VX11 is running on this machine, with the sidecar in front of it. Nothing here leaves loopback.

  sidecar   {sidecar}   (what clients talk to)
  admin     {admin}   (metrics, health, state)
  control   {control}   (break and mend the lab)
  token     {token}

1. Chat. The switch answers: "provider":"switch", "degraded":false.
   curl -s {sidecar}/operator/api/chat -H 'X-VX11-Token: {token}' \\
        -H 'Content-Type: application/json' -d '{{"message":"hola"}}'

2. Break the switch: it accepts connections and never answers.
   curl -s -X POST {control}/fault/switch/hang

3. Chat again (the command of 1). An answer still comes before a browser's five seconds are over, now with
   "degraded":true and the reason. Repeat it: the breaker opens and the answers get fast.

4. See what happened, in a browser at {admin}/ or in a terminal:
   .venv/bin/sidecar status --admin {admin}
   curl -s {admin}/metrics | grep vx11_sidecar_
   curl -s {control}/

5. What is not chat is passed on untouched; this one is a stream (stop it with ctrl-c):
   curl -sN {sidecar}/operator/api/events -H 'Accept: text/event-stream'

6. Mend the switch, wait a few seconds, chat again: "degraded":false is back.
   curl -s -X DELETE {control}/fault/switch

More to break: switch refuse, slow:1.5, lognormal:1:0.5, straggling:0.05:2, failing:0.2, cold:0.5:20, error, partial, empty, 500,
html, reset, garbage, unauthorised; madre hang, refuse, detached, waiting. `curl -s {control}/` lists them all.
"""


def instructions(sidecar_url: str, admin_url: str, control_url: str, token: str) -> str:
    return _TOUR.format(
        sidecar=sidecar_url.rstrip("/"), admin=admin_url.rstrip("/"), control=control_url.rstrip("/"), token=token
    )
