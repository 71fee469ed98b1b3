"""Pages of reports: what is in the data cannot become HTML, and only their own script may run."""

import base64
import hashlib
import json
import re

import pytest

from sorigeul.base.html_page import render_page


@pytest.mark.parametrize("package", ["sorigeul.evaluation.reporting", "sorigeul.prepared"])
def test_a_page_holds_its_data_and_allows_its_own_script_only(package: str) -> None:
    data = {"name": "</script><script>alert(1)</script>&amp;"}
    page = render_page(package, data)
    assert "alert(1)</" not in page
    (block,) = re.findall(r'id="data">(.*?)</script>', page)
    assert json.loads(block) == data
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="(.*?)"', page)
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


@pytest.mark.parametrize("package", ["sorigeul.evaluation.reporting", "sorigeul.prepared"])
def test_a_page_has_the_same_texts_in_both_languages(package: str) -> None:
    (block,) = re.findall(r'id="texts">(.*?)</script>', render_page(package, {}))
    texts = json.loads(block)
    assert texts["en"].keys() == texts["ko"].keys()
    for name, text in texts["en"].items():
        if isinstance(text, str):
            places = [set(re.findall(r"\{\w+\}", one)) for one in (text, texts["ko"][name])]
            assert places[0] == places[1], name
