"""The page: self-contained, and nobody's name runs in it."""

from __future__ import annotations

import base64
import hashlib
import json
import re

from sacfast import evaluate

EVIL = "</script><img src=x onerror=alert(1)>"


def test_a_page_with_every_number_and_no_stranger_s_markup(world, tmp_path):
    rows = [dict(row) for row in world.rows]
    for row in rows:
        if row["attack"] == "shift":
            row["attack"] = EVIL
    truth, archives = world.write(tmp_path, rows)
    found = evaluate(truth, archives[:1], splits=2)
    page = found.save_page(tmp_path / "e.html").read_text("utf-8")
    assert EVIL not in page
    data = json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', page)[1]
    )
    assert [r["pooled"]["auc"] for r in data["results"]] == [
        r["pooled"]["auc"] for r in found.results
    ]
    scores = data["results"][0]["scores"]
    assert len(scores["innocent"]) == 2 * found.facts["innocent"]
    assert EVIL in scores
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"sha256-{digest}" in policy.replace("&#39;", "'")
    assert len(scripts) == 2
    assert not re.search(r'(src|href)="(?!data:)', page.split("<script>")[0])
