"""The lab's stand-in for the operator UI: one small chat page, served as the real static files are.

It talks to the host it came from, so opened through the sidecar it shows the sidecar's answers and opened at the
gateway the gateway's. Like the real UI it gives up after five seconds.
"""

from __future__ import annotations

import hashlib

from aiohttp import web

from sidecar.lab.answers import detail, raw, uvicorn_headers
from sidecar.lab.routes import Ask

MODIFIED = "Sun, 04 Jan 2026 12:00:00 GMT"
HTML = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>VX11 lab chat</title>
<style>body{font:16px system-ui;max-width:44rem;margin:2rem auto}li{margin:.4rem 0}small{color:#666}</style>
<h1>Chat</h1>
<form><input id="token" value="vx11-local-token" aria-label="token">
<input id="message" value="hola" aria-label="message">
<button>Send</button></form><ul id="log"></ul>
<script>
document.forms[0].onsubmit = async (event) => {
  event.preventDefault();
  const line = document.createElement("li"), note = document.createElement("small"), began = performance.now();
  log.prepend(line);
  try {
    const answer = await fetch("/operator/api/chat", {method: "POST", signal: AbortSignal.timeout(5000),
      headers: {"Content-Type": "application/json", "X-VX11-Token": token.value},
      body: JSON.stringify({message: message.value, session_id: "session_" + Date.now()})});
    const body = await answer.json();
    line.textContent = body.response || "HTTP " + answer.status;
    note.textContent = ` ${body.provider || body.fallback_source || ""}${body.degraded ? ", degraded" : ""}` +
      `${body.reason ? " (" + body.reason + ")" : ""}, `;
  } catch (error) { line.textContent = "no answer: " + error.name + " "; }
  note.textContent += Math.round(performance.now() - began) + " ms";
  line.append(note);
};
</script></html>
"""
TAG = hashlib.md5(HTML, usedforsecurity=False).hexdigest()  # unquoted on the wire, as seen


async def page(ask: Ask) -> web.Response:
    """No fallback to the page for unknown paths; ranges are ignored."""
    if ask.params["file"] not in ("", "index.html"):
        return detail(404, "Not Found")
    headers = {"last-modified": MODIFIED, "etag": TAG}
    if ask.header("if-none-match") == TAG:
        return web.Response(status=304, headers=uvicorn_headers() | headers)
    return raw(200, HTML, "text/html; charset=utf-8", headers)
