"""What is written for Docker, Kubernetes and systemd is what those would take, and means this program."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject

from services.__main__ import parser
from services.rules import service as rules
from services.settings import Role, Settings
from tongluo.log.kafka_address import KafkaAddress
from tongluo.topics import READINGS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
TOOLS = Path(sys.executable).parent
# The oldest and the newest Kubernetes that the manifests are meant for.
KUBERNETES = ("1.30", "1.37")
OUR_SETTINGS = {f"TONGLUO_{name.upper()}" for name in Settings.model_fields}


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text("utf-8")):
            yield f"{path.name}: {document['kind']} {document.get('metadata', {}).get('name', '')}", document


MANIFESTS = dict(documents())
PODS = {
    document["metadata"]["name"]: document["spec"]["template"]["spec"]
    for document in MANIFESTS.values()
    if document["kind"] in ("Deployment", "StatefulSet", "Job")
}


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8")))


def checked(*command: str | Path) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


# -- every one of them


def test_only_settings_that_exist_are_set() -> None:
    files = [
        DEPLOY / "compose.yaml",
        DEPLOY / "Dockerfile",
        *(DEPLOY / "kubernetes").glob("*.yaml"),
        *(p for p in (DEPLOY / "systemd").rglob("*") if p.is_file()),
    ]
    # Of the compose file itself: which image, which ports, whose files.
    compose_own = {
        "TONGLUO_VERSION",
        "TONGLUO_UID",
        "TONGLUO_GID",
        "TONGLUO_MQTT_PUBLISH",
        "TONGLUO_HTTP_PUBLISH",
    }
    for path in files:
        named = {
            name.removesuffix("_FILE")
            for name in re.findall(r"\bTONGLUO_[A-Z0-9_]+\b", path.read_text("utf-8"))
        }
        assert named - OUR_SETTINGS - compose_own == set(), path.name


@pytest.mark.parametrize("kind", ["compose", "kubernetes", "systemd"])
def test_every_role_runs(kind: str) -> None:
    match kind:
        case "compose":
            commands = [service.get("command", []) for service in compose()["services"].values()]
        case "kubernetes":
            commands = [container.get("args", []) for pod in PODS.values() for container in pod["containers"]]
        case _:
            unit = (DEPLOY / "systemd/tongluo@.service").read_text("utf-8")
            assert "ExecStart=/opt/tongluo/bin/tongluo run --roles %i\n" in unit
            target = (DEPLOY / "systemd/tongluo.target").read_text("utf-8")
            commands = [["run", "--roles", role] for role in re.findall(r"tongluo@(\w+)\.service", target)]
    roles = [command[2] for command in commands if command[:2] == ["run", "--roles"]]
    # Ingest is there twice: one that has the field for itself, and an example of several that share it.
    assert set(roles) == {role.value for role in Role}
    assert len(roles) == len(Role) + (kind == "kubernetes")
    for command in commands:
        if command and command[0] in ("run", "admin"):
            parser().parse_args(command)


def test_the_scaler_looks_at_the_group_that_the_rules_form() -> None:
    [scaler] = [
        d["spec"]["triggers"][0]["metadata"]
        for d in MANIFESTS.values()
        if d["kind"] == "ScaledObject" and d["metadata"]["name"] == "rules"
    ]
    ours = KafkaAddress("kafka")
    assert scaler["consumerGroup"] == ours.named(rules.GROUP, READINGS.name)
    assert scaler["topic"] == ours.named(READINGS.name)


# -- Docker


def test_the_compose_file_is_one() -> None:
    checked(TOOLS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")


@pytest.mark.parametrize("name", sorted(compose()["services"]))
def test_a_service_is_bounded_watched_and_unprivileged(name: str) -> None:
    service = compose()["services"][name]
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
    assert "no-new-privileges:true" in service["security_opt"]
    runs_on = service["restart"] == "unless-stopped"
    # The program's image has a check of its own.
    assert runs_on == ("healthcheck" not in service if service["image"].startswith("tongluo:") else True)
    assert runs_on or service["healthcheck"] == {"disable": True}


def test_only_gateways_and_a_proxy_on_this_machine_get_in() -> None:
    published = {name: s["ports"] for name, s in compose()["services"].items() if "ports" in s}
    assert published == {
        "mosquitto": ["${TONGLUO_MQTT_PUBLISH:-8883}:8883"],
        "console": ["${TONGLUO_HTTP_PUBLISH:-127.0.0.1:8080}:8080"],
    }
    assert compose()["networks"]["inner"] == {"internal": True}


def test_what_the_compose_file_names_is_declared() -> None:
    found = compose()
    for name, service in found["services"].items():
        for kind in ("networks", "secrets"):
            assert set(service.get(kind, [])) <= set(found[kind]), name
        assert set(service.get("depends_on", {})) <= set(found["services"]), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith(("./county", "./secrets")):
                continue  # made by ./prepare and by the operator
            assert (DEPLOY / source).exists() if source.startswith(".") else source in found["volumes"], (
                source
            )


def test_the_dockerfile_is_clean() -> None:
    checked(TOOLS / "hadolint", DEPLOY / "Dockerfile")


def test_the_image_is_made_from_what_the_builder_sees() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [
        source
        for line in (DEPLOY / "Dockerfile").read_text("utf-8").splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    ]
    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert any(source == name or fnmatch(source, f"{name}/*") for name in allowed), source
    assert "*" in (ROOT / ".dockerignore").read_text().splitlines()


# -- Kubernetes


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("name", [name for name, it in MANIFESTS.items() if it["kind"] != "Kustomization"])
def test_a_manifest_has_the_form_kubernetes_wants(name: str, version: str) -> None:
    document = MANIFESTS[name]
    match document["kind"]:
        case "ScaledObject":
            # KEDA's schema lets unknown fields pass, to be dropped by the cluster: what comes back must be what went in.
            # What stands in a trigger's metadata is the trigger's own affair and is in no schema.
            read = ScaledObject.model_validate(document)
            assert read.model_dump(by_alias=True, exclude_unset=True, mode="json") == document
        case _:
            kubernetes_validate.validate(document, version, strict=True)


def test_the_kustomization_lists_every_file() -> None:
    """No package carries the schema of a Kustomization."""
    [listed] = [d["resources"] for d in MANIFESTS.values() if d["kind"] == "Kustomization"]
    there = {path.name for path in (DEPLOY / "kubernetes").glob("*.yaml")}
    assert set(listed) == {name for name in there if not name.endswith(".example.yaml")} - {
        "kustomization.yaml"
    }


@pytest.mark.parametrize("name", PODS)
def test_a_pod_may_do_no_more_than_it_needs(name: str) -> None:
    pod = PODS[name]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    # Or a service called tongluo would set TONGLUO_PORT, a setting that does not exist.
    assert pod["enableServiceLinks"] is False
    mounted = {volume["name"] for volume in pod["volumes"]}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"requests", "limits"} <= set(container["resources"])
        assert {mount["name"] for mount in container["volumeMounts"]} <= mounted | {"data"}
        if name != "topics":
            assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)


def test_labels_lead_to_pods() -> None:
    pods = {
        name: document["spec"]["template"]["metadata"]["labels"]
        for name, document in MANIFESTS.items()
        if document["kind"] in ("Deployment", "StatefulSet", "Job")
    }
    for name, document in MANIFESTS.items():
        spec = document.get("spec", {})
        selector = {
            "Deployment": lambda s: s["selector"]["matchLabels"],
            "StatefulSet": lambda s: s["selector"]["matchLabels"],
            "PodDisruptionBudget": lambda s: s["selector"]["matchLabels"],
            "NetworkPolicy": lambda s: s["podSelector"].get("matchLabels", {}),
            "Service": lambda s: s["selector"],
        }.get(document["kind"])
        if selector is not None:
            wanted = selector(spec).items()
            assert any(wanted <= labels.items() for labels in pods.values()), name


def test_replicas_are_bounded_by_partitions() -> None:
    scaled = [d["spec"] for d in MANIFESTS.values() if d["kind"] == "ScaledObject"]
    deployments = {d["metadata"]["name"]: d["spec"] for d in MANIFESTS.values() if d["kind"] == "Deployment"}
    for spec in scaled:
        assert spec["maxReplicaCount"] == READINGS.partitions
        # Both would set the number, in turns.
        assert "replicas" not in deployments[spec["scaleTargetRef"]["name"]]
    # Two would take the one MQTT session from each other.
    assert deployments["ingest"]["replicas"] == 1
    assert deployments["ingest"]["strategy"] == {"type": "Recreate"}


# -- systemd


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, of a program that is there: systemd looks for it."""
    shutil.copytree(DEPLOY / "systemd", tmp_path / "units")
    for unit in (tmp_path / "units").glob("*.service"):
        text = unit.read_text("utf-8")
        assert "=/opt/tongluo/bin/tongluo " in text
        unit.write_text(text.replace("=/opt/tongluo/bin/tongluo ", "=/bin/true "))
    return tmp_path / "units"


@pytest.mark.systemd
def test_systemd_understands_the_units(units: Path) -> None:
    names = ["tongluo.target", "tongluo-topics.service", *(f"tongluo@{role}.service" for role in Role)]
    ran = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *names],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # It says much of the machine's own units; a word about ours is a fault, also where it exits with 0.
    assert [line for line in ran.stderr.splitlines() if "tongluo" in line] == []
    assert ran.returncode == 0, ran.stderr


@pytest.mark.systemd
def test_a_role_is_locked_in(units: Path) -> None:
    """systemd's own measure of exposure: 0 is a program that can do nothing, 10 one that may do all."""
    (units / "tongluo@rules.service").write_text((units / "tongluo@.service").read_text("utf-8"))
    checked(
        "systemd-analyze", "security", "--offline=true", "--threshold=20", units / "tongluo@rules.service"
    )


@pytest.mark.shellcheck
@pytest.mark.parametrize(
    "script", ["deploy/bootstrap", "deploy/prepare", "deploy/mosquitto/make-certificates", ".ci/run"]
)
def test_scripts_are_clean(script: str) -> None:
    checked("shellcheck", ROOT / script)
