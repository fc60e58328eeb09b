"""deploy/kubernetes/ fits Kubernetes' own schemas, the settings, the app and the image."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from api.app import create_app
from api.server import GRACEFUL_SHUTDOWN_SECONDS
from settings import Settings, load_settings
from tests.deploy.test_compose import ENTERED, SERVICES, instructions
from worker import GRACE
from workflows import names

ROOT = Path(__file__).parent.parent.parent
PLACE = ROOT / "deploy" / "kubernetes"
KUBERNETES = ("1.30", "1.37")  # the oldest that has preStop.sleep switched on, and the newest that we know
Manifest = dict[str, Any]


def read(*paths: Path) -> list[Manifest]:
    return [one for path in paths for one in yaml.safe_load_all(path.read_text())]


MANIFESTS = read(*(path for path in sorted(PLACE.rglob("*.yaml")) if path.name != "kustomization.yaml"))
IDS = [f"{one['kind']}-{one['metadata']['name']}" for one in MANIFESTS]
PODS = {
    one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in MANIFESTS if "template" in one.get("spec", {})
}


def manifest(kind: str, name: str = "heliograph") -> Manifest:
    (found,) = (one for one in MANIFESTS if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return found


def container(name: str) -> Manifest:
    (found,) = PODS[name]["containers"]
    return found


SETTINGS = manifest("ConfigMap")["data"]
SECRETS = manifest("Secret")["stringData"]
SCALED = manifest("ScaledObject", "heliograph-worker")["spec"]


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("one", MANIFESTS, ids=IDS)
def test_manifests_fit_the_schemas(one: Manifest, version: str) -> None:
    if one["kind"] == "ScaledObject":  # KEDA's, whose schema is in no package: its fields are looked at below
        return
    assert kubernetes_validate.validate(one, version, strict=True) == version


def test_a_field_that_does_not_exist_is_found() -> None:
    wrong = manifest("Deployment", "heliograph-api")
    wrong = wrong | {"spec": wrong["spec"] | {"replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError, match="replica"):
        kubernetes_validate.validate(wrong, KUBERNETES[-1], strict=True)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.parametrize("folder", [PLACE, PLACE / "worker"], ids=["shared", "worker"])
def test_kustomize_makes_what_fits_together(folder: Path) -> None:
    built = subprocess.run(["kubectl", "kustomize", folder], check=True, capture_output=True, text=True, timeout=60)
    made = {one["kind"]: one for one in yaml.safe_load_all(built.stdout)}
    for one in made.values():
        assert one["metadata"]["namespace"] == "heliograph"
        if one["kind"] != "ScaledObject":
            kubernetes_validate.validate(one, KUBERNETES[-1], strict=True)
    if scaled := made.get("ScaledObject"):
        workers = made["Deployment"]
        assert scaled["spec"]["scaleTargetRef"] == {"name": workers["metadata"]["name"]}
        version = workers["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/version"]
        assert scaled["spec"]["triggers"][0]["metadata"]["workerDeploymentBuildId"] == version
        assert workers["spec"]["selector"]["matchLabels"]["app.kubernetes.io/version"] == version
        assert made["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]["app.kubernetes.io/version"] == version


def test_every_manifest_is_applied_but_the_example_of_secrets() -> None:
    for folder in (PLACE, PLACE / "worker"):
        files = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml", "secret.example.yaml"}
        assert set(read(folder / "kustomization.yaml")[0]["resources"]) == files


def test_the_version_stands_in_each_place_alike() -> None:
    (worker,) = read(PLACE / "worker" / "kustomization.yaml")
    (version,) = {one["newTag"] for one in worker["images"]}
    assert worker["labels"] == [{"pairs": {"app.kubernetes.io/version": version}, "includeSelectors": True}]
    assert worker["nameSuffix"] == f"-{version.replace('.', '-')}"
    assert read(PLACE / "kustomization.yaml")[0]["images"] == worker["images"]
    [build] = container("heliograph-worker")["env"]
    assert build["name"].lower() in Settings.model_fields
    assert build["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.labels['app.kubernetes.io/version']"}}


def test_the_names_are_settings_and_production_starts_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {name.lower() for name in SETTINGS | SECRETS} <= Settings.model_fields.keys()
    assert SETTINGS.keys() & SECRETS.keys() == set()
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    entered = {name: value for name, value in ENTERED.items() if name in SECRETS}
    for name, value in (SETTINGS | SECRETS | entered).items():
        monkeypatch.setenv(name, value)
    settings = load_settings(_env_file=None)
    assert (settings.environment, settings.host, settings.logs_as_json) == ("production", "0.0.0.0", True)
    assert settings.metrics_port is not None


def test_the_example_has_no_secret_of_anyone() -> None:
    example = (ROOT / ".env.example").read_text()
    for name, value in SECRETS.items():
        stands = re.search(rf"^# {name}=(\S+)$", example, re.MULTILINE)
        assert value.replace("postgres.example.com", "127.0.0.1") == stands[1] if stands else None, name


@pytest.mark.parametrize("name", PODS)
def test_pods_read_settings_and_secrets(name: str) -> None:
    assert container(name)["envFrom"] == [
        {"configMapRef": {"name": "heliograph"}},
        {"secretRef": {"name": "heliograph"}},
    ]
    assert container(name)["args"] == [name.removeprefix("heliograph-")]


@pytest.mark.parametrize("name", PODS)
def test_pods_may_do_no_more_than_they_need(name: str) -> None:
    pod, ours = PODS[name], container(name)
    user, _, group = instructions("USER")[0].partition(":")
    assert pod["securityContext"] == {
        "runAsNonRoot": True, "runAsUser": int(user), "runAsGroup": int(group),
        "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip
    assert ours["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert pod["automountServiceAccountToken"] is False
    mounts = {mount["name"]: mount for mount in ours["volumeMounts"]}
    assert mounts.keys() == {volume["name"] for volume in pod["volumes"]}
    assert all(mount.get("readOnly") for volume, mount in mounts.items() if volume != "tmp")


def test_ports_and_probes_are_those_of_the_processes(tmp_path: Path) -> None:
    paths = create_app(load_settings(_env_file=None, data_dir=tmp_path)).openapi()["paths"].keys()
    api, worker = container("heliograph-api"), container("heliograph-worker")
    assert api["ports"] == [{"name": "http", "containerPort": int(SETTINGS["PORT"])}]
    assert worker["ports"] == [{"name": "metrics", "containerPort": int(SETTINGS["METRICS_PORT"])}]
    assert {api[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "readiness", "liveness")} <= paths
    assert api["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert api["livenessProbe"]["httpGet"]["path"] == "/healthz"  # a restart brings no other part back
    for probe in ("startup", "liveness"):
        assert worker[f"{probe}Probe"]["httpGet"] == {"path": "/metrics", "port": "metrics"}
    command = worker["readinessProbe"]["exec"]["command"]
    assert command == SERVICES["worker"]["healthcheck"]["test"][1:]
    (service,) = manifest("Service", "heliograph-api")["spec"]["ports"]
    assert service["targetPort"] == "http"


def test_a_stopping_process_may_finish() -> None:
    assert PODS["heliograph-worker"]["terminationGracePeriodSeconds"] > GRACE.total_seconds()
    sleeps = container("heliograph-api")["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert PODS["heliograph-api"]["terminationGracePeriodSeconds"] > sleeps + GRACEFUL_SHUTDOWN_SECONDS


@pytest.mark.parametrize("name", ["heliograph-api", "heliograph-worker"])
def test_what_selects_pods_selects_ours(name: str) -> None:
    deployment = manifest("Deployment", name)
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert manifest("PodDisruptionBudget", name)["spec"]["selector"]["matchLabels"] == labels
    assert manifest("NetworkPolicy", name)["spec"]["podSelector"]["matchLabels"] == labels
    assert manifest("NetworkPolicy")["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert "replicas" not in deployment["spec"]  # an autoscaler says how many, and applying again must not


def test_the_api_scales_and_never_below_two() -> None:
    scaler = manifest("HorizontalPodAutoscaler", "heliograph-api")["spec"]
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "heliograph-api"}
    assert scaler["minReplicas"] >= 2
    assert "cpu" in container("heliograph-api")["resources"]["requests"]  # utilization is of what is requested


def test_workers_scale_with_the_backlog_of_their_queue() -> None:
    """Fields of KEDA 2.21's ScaledObject and of its trigger `temporal`, as its documentation has them."""
    assert SCALED.keys() <= {
        "scaleTargetRef", "minReplicaCount", "maxReplicaCount", "pollingInterval", "cooldownPeriod", "triggers",
    }  # fmt: skip
    assert SCALED["minReplicaCount"] >= 1
    (trigger,) = SCALED["triggers"]
    assert trigger["type"] == "temporal"
    metadata = trigger["metadata"]
    assert all(isinstance(value, str) for value in metadata.values())
    assert metadata.keys() == {
        "endpoint", "namespace", "taskQueue", "queueTypes", "targetQueueSize", "workerDeploymentName",
        "workerDeploymentBuildId",
    }  # fmt: skip
    assert metadata["taskQueue"] == names.TASK_QUEUE
    assert set(metadata["queueTypes"].split(",")) <= {"workflow", "activity", "nexus"}
    assert metadata["endpoint"] == SETTINGS["TEMPORAL_ADDRESS"]
    assert metadata["namespace"] == SETTINGS["TEMPORAL_NAMESPACE"]
    assert metadata["workerDeploymentName"] == SETTINGS["WORKER_DEPLOYMENT_NAME"]
