"""The files for containers name what the server really has: routes, metrics, settings, extras."""

import re
from pathlib import Path
from typing import Any

import yaml

from sorigeul.serving import health_routes
from sorigeul.serving.authentication import VARIABLE
from sorigeul.serving.metrics import Metrics
from sorigeul.serving.options import ServingOptions

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((ROOT / name).read_text(encoding="utf-8")))


def test_the_image_is_built_from_files_that_are_there_and_reach_the_builder() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        for name in line.split()[:-1]:
            assert (ROOT / name).exists(), name
            assert f"!{name}" in ignored
    named = re.findall(r"EXTRAS=([\w,]+)", DOCKERFILE)
    assert len(named) == 2
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for extra in {extra for names in named for extra in names.split(",")}:
        assert re.search(rf"^{extra} = \[", project, re.MULTILINE), extra


def test_probes_and_metrics_are_those_of_the_server() -> None:
    routes = {route.path for route in health_routes.router.routes}  # type: ignore[attr-defined]
    deployment, service, autoscaler = documents("deploy/kubernetes.yaml")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"] in routes
    assert "/healthz" in DOCKERFILE
    metric = autoscaler["spec"]["metrics"][0]["pods"]["metric"]["name"]
    assert metric in Metrics().text().decode()
    assert service["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
    assert container["env"][0]["name"] == VARIABLE


def test_a_server_has_time_to_answer_what_it_has_accepted() -> None:
    drain = ServingOptions().drain_seconds
    deployment, *_ = documents("deploy/kubernetes.yaml")
    (compose,) = documents("compose.yaml")
    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > drain
    grace = compose["services"]["server"]["stop_grace_period"]
    assert float(grace.removesuffix("s")) > drain


def test_prometheus_asks_the_service_that_there_is() -> None:
    (compose,), (prometheus,) = documents("compose.yaml"), documents("deploy/prometheus.yml")
    (target,) = prometheus["scrape_configs"][0]["static_configs"][0]["targets"]
    host, port = target.split(":")
    assert host in compose["services"]
    assert f"EXPOSE {port}\n" in DOCKERFILE
