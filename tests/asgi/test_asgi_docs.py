"""The example of docs/asgi.md, as it stands there, on a real uvicorn."""

from __future__ import annotations

import re
from pathlib import Path

import aiohttp
from scripts import CHAT
from uvicorn_server import uvicorn_on

from sidecar.lab.town import DEFAULT_TOKEN, Lab

ROOT = Path(__file__).parents[2]


async def test_the_example_answers_chat_and_leaves_the_rest_alone(monkeypatch):
    page = (ROOT / "docs" / "asgi.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len([line for line in example.splitlines() if line and not line.startswith("#")]) <= 10
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("VX11_TENTACULO_LINK_TOKEN", DEFAULT_TOKEN)
    async with Lab(tempo=0.01) as lab:
        for there, here in (("127.0.0.1:8002", lab.switch_url), ("127.0.0.1:8001", lab.madre_url)):
            assert there in example
            example = example.replace(there, here)
        gateway = {}
        exec(compile(example, "gateway.py", "exec"), gateway)
        async with uvicorn_on(gateway["gateway"]) as url, aiohttp.ClientSession() as client:
            for token, status in (({}, 401), ({"X-VX11-Token": DEFAULT_TOKEN}, 200)):
                async with client.post(url + CHAT, json={"message": "hi"}, headers=token) as got:
                    assert got.status == status
                    said = await got.json()
            assert said["provider"] == "switch"
            async with client.get(url + "/health") as got:
                assert await got.json() == {"status": "ok"}
            async with client.get(url + "/metrics") as got:
                assert 'vx11_sidecar_chat_requests_total{code="200",outcome="primary"' in await got.text()
