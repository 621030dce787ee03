"""Pages for people: from here alone, under a policy, and true."""

import re

from gateway.problems import KINDS
from tests.gateway.gate import Gate


async def test_the_first_page_leads_to_all_that_there_is(gate: Gate):
    page = await gate.get("/")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    text = page.body.decode()
    local = {"/docs", "/problems", "/openapi.json", "/health/ready", "/v1/board"}
    assert local <= set(re.findall(r'(?:href|src)="([^"#]+)"', text))


async def test_pages_are_made_of_what_is_served_here(gate: Gate):
    for page in ("/", "/docs", "/problems", "/problems/not-found"):
        text = (await gate.get(page)).body.decode()
        parts = re.findall(r'<(?:link|script|img)[^>]+(?:href|src)="([^"]+)"', text)
        assert parts
        for part in parts:
            assert part.startswith("/static/"), part
            assert (await gate.get(part)).status == 200, part
        assert "<script>" not in text
        assert " style=" not in text
        assert "http://" not in text.replace("http://www.w3.org", "")
        assert "https://" not in text


async def test_every_page_has_a_policy(gate: Gate):
    for page in ("/", "/docs", "/problems"):
        policy = (await gate.get(page)).headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy


async def test_every_kind_of_problem_has_a_page_and_a_place_in_the_list(gate: Gate):
    listed = (await gate.get("/problems")).body.decode()
    for kind in KINDS:
        assert f'id="{kind.name}"' in listed
        assert (await gate.get(f"/problems/{kind.name}")).status == 200
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    rule = (await gate.get("/problems/slot-taken")).body.decode()
    assert "refused_by" in rule
    assert (await gate.get("/problems/<script>")).problem == "not-found"


async def test_only_what_pages_are_made_of_is_given_away(gate: Gate):
    for path in ("index.html", "__init__.py", "..%2fapp.py", "swagger-ui.js.map"):
        assert (await gate.get(f"/static/{path}")).status == 404, path
