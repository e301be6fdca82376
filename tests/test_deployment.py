"""What brings the studio into a container and into a Cloudera AI workspace: parsed, linted, and run on stand-ins."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.jobs import cml_jobs, launchers
from core.jobs.cml_jobs import CmlSettings, variable_of
from core.paths import PROJECT

TOOLS = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
SCRIPTS = sorted([*PROJECT.glob("scripts/**/*.sh"), *PROJECT.glob("cml/*.sh")])
DOCKERFILE = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
METADATA = yaml.safe_load((PROJECT / ".project-metadata.yaml").read_text(encoding="utf-8"))


class Merging(yaml.SafeLoader):
    """Reads Compose's own marks on how a file is laid over another, too."""


Merging.add_constructor("!override", lambda loader, node: loader.construct_sequence(node, deep=True))


def compose(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load((PROJECT / name).read_text(encoding="utf-8"), Merging)
    return found


def tool(name: str) -> str:
    """A linter that requirements-dev.txt installs."""
    found = shutil.which(name, path=TOOLS)
    assert found is not None, f"{name} is not installed: make install-dev"
    return found


def stage(name: str) -> str:
    """The instructions of one stage of the Dockerfile."""
    found = re.search(rf"^FROM \S+ AS {name}\n(.*?)(?=^FROM |\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def test_the_dockerfile_keeps_hadolints_rules() -> None:
    command = [tool("hadolint"), PROJECT / "Dockerfile"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == (0, "")


def docker_runs(text: str) -> list[list[str]]:
    """Every `docker run` that a text tells people to type, in words."""
    lines = re.sub(r"\\\n#? *", "", text).splitlines()
    return [shlex.split(line.lstrip("# ")) for line in lines if line.lstrip("# ").startswith("docker run ")]


def test_the_dockerfile_tells_to_start_it_as_the_guide_does_with_a_user_who_may_train() -> None:
    told = docker_runs(DOCKERFILE)
    assert told == docker_runs((PROJECT / "docs" / "administrator.md").read_text(encoding="utf-8"))
    assert len(told) == 2
    assert all("GRPO_STUDIO_IDENTITY=local" in command for command in told)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: str(script.relative_to(PROJECT)))
def test_a_shell_script_keeps_shellchecks_rules(script: Path) -> None:
    command = [tool("shellcheck"), "--external-sources", script]
    answer = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == (0, "")
    assert os.access(script, os.X_OK) or script.name == "common.sh"


def test_the_base_image_is_pinned_by_its_digest() -> None:
    assert re.search(
        r"^ARG PYTHON_IMAGE=python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}$", DOCKERFILE, re.MULTILINE
    )
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${PYTHON_IMAGE}", "build", "studio"}


@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_both_targets_run_as_an_ordinary_user_with_a_volume_and_models(target: str) -> None:
    steps = stage(target)
    assert re.findall(r"^USER .*", steps, re.MULTILINE) == ["USER 1000"]
    assert f"COPY --from=build-{target} /opt/venv /opt/venv" in steps
    # What is changed in a volume after its declaration is lost.
    assert steps.index(f"scripts/image/system.sh {target}") < steps.index("VOLUME /workspace")
    assert "RUN scripts/image/models.sh" in steps


def test_the_image_has_an_init_process_and_a_health_check() -> None:
    assert 'ENTRYPOINT ["tini"' in stage("studio")
    assert "/_stcore/health" in stage("studio")


@pytest.mark.parametrize("script", ["environment.sh", "system.sh"])
def test_a_step_of_the_image_refuses_a_target_that_is_none(script: str) -> None:
    step = PROJECT / "scripts" / "image" / script
    answer = subprocess.run([step, "gpu"], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (2, f"{script} takes cpu or cuda, not 'gpu'.\n")


def test_what_the_image_copies_is_not_left_out_of_its_context() -> None:
    ignored = (PROJECT / ".dockerignore").read_text(encoding="utf-8").split()
    needed = {"requirements.txt", "requirements.lock", "scripts", "core", "studio", "pages", "assets", ".streamlit"}
    assert not needed & set(ignored)
    assert {".git", "workspace", ".streamlit/secrets.toml"} <= set(ignored)


def test_compose_keeps_both_services_to_this_machine_and_gives_them_one_key() -> None:
    services = compose("compose.yaml")["services"]
    assert services["studio"]["ports"] == ["127.0.0.1:${PORT:-8501}:8501"]
    assert "ports" not in services["vllm"]
    assert (
        services["studio"]["environment"]["GRPO_STUDIO_ENDPOINT_KEY"] == services["vllm"]["environment"]["VLLM_API_KEY"]
    )
    assert services["studio"]["environment"]["GRPO_STUDIO_ENDPOINTS"] == "http://vllm:8000/v1"


def test_compose_needs_no_network_for_what_it_starts_with() -> None:
    found = compose("compose.yaml")
    server = found["services"]["vllm"]
    assert server["command"][0] == "${VLLM_MODEL:-/workspace/models/smollm2-135m-instruct}"
    assert server["networks"] == ["models"] and found["networks"]["models"] == {"internal": True}
    assert server["environment"]["HF_HUB_OFFLINE"] == "${HF_HUB_OFFLINE:-1}"
    assert server["depends_on"] == {"studio": {"condition": "service_healthy"}}


def test_compose_builds_targets_that_the_dockerfile_has() -> None:
    for name in ("compose.yaml", "compose.cuda.yaml"):
        assert stage(compose(name)["services"]["studio"]["build"]["target"])


def test_compose_serves_the_vllm_that_the_studio_trains_with() -> None:
    (pinned,) = re.findall(
        r"^vllm==(\S+)$", (PROJECT / "requirements-gpu.txt").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert compose("compose.yaml")["services"]["vllm"]["image"] == f"vllm/vllm-openai:v{pinned}"


def test_the_projects_metadata_has_what_the_specification_requires() -> None:
    lengths = {"name": 200, "description": 2048, "author": 64}
    assert all(0 < len(METADATA[field]) <= most for field, most in lengths.items())
    assert (METADATA["specification_version"], METADATA["prototype_version"]) == (1.0, 1.0)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", METADATA["date"])
    assert all(set(runtime) == {"editor", "kernel", "edition"} for runtime in METADATA["runtimes"])


def test_every_task_of_the_project_runs_a_script_that_is_there() -> None:
    tasks = METADATA["tasks"]
    assert [task["type"] for task in tasks] == ["create_job", "run_job", "start_application"]
    assert tasks[1]["entity_label"] == tasks[0]["entity_label"]
    for task in tasks:
        if "script" in task:
            ast.parse((PROJECT / task["script"]).read_text(encoding="utf-8"))


def test_every_variable_of_the_project_is_described_and_read_somewhere() -> None:
    known = {"EXTRAS", "HF_TOKEN"}
    known |= {variable_of(field) for field in CmlSettings.model_fields}
    code = "".join(file.read_text(encoding="utf-8") for file in (PROJECT / "core").rglob("*.py"))
    for name, variable in METADATA["environment_variables"].items():
        assert set(variable) == {"default", "description"} and isinstance(variable["default"], str)
        assert name in known or f'"{name}"' in code, name


def test_training_jobs_find_their_script_and_their_application() -> None:
    assert cml_jobs.SCRIPT.is_file() and cml_jobs.APPLICATION.is_file()
    assert cml_jobs.in_project(cml_jobs.APPLICATION) == METADATA["tasks"][2]["script"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose commands only say how they were called, in `called`."""
    shutil.copytree(PROJECT / "cml", tmp_path / "cml")
    said = '#!/bin/sh\nnames="GRPO_STUDIO_HOME GRPO_STUDIO_TRUSTED_PROXY GRPO_STUDIO_WITHIN EXTRAS"\n'
    said += 'printf "%s" "$*" >> called\nfor name in $names; do printf " %s" "$(printenv "$name")" >> called; done\n'
    said += "echo >> called\n"
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for file in (tmp_path / ".venv" / "bin" / "python", tmp_path / "cml" / "install.sh"):
        file.write_text(said)
        file.chmod(0o755)
    return tmp_path


def start(project: Path, script: str, **variables: str) -> list[str]:
    """Run a script as a workspace does: in the project's folder, with arguments of its kernel; what it has called."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(project), **variables}
    command = [sys.executable, str(project / "cml" / script), "-f", "kernel.json"]
    subprocess.run(command, cwd=project, env=environment, check=True, capture_output=True)
    return (project / "called").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("variable", ["CDSW_APP_PORT", "CDSW_READONLY_PORT"])
def test_the_application_listens_on_the_loopback_address_at_the_port_it_is_given(variable: str, project: Path) -> None:
    *_, served = start(project, "application.py", **{variable: "8100"})
    assert served == f"scripts/serve.py 127.0.0.1 8100 {project / 'workspace'} 1 application cpu"


def test_the_application_prepares_before_it_serves_and_does_so_again_after_a_restart(project: Path) -> None:
    begun = [line.split(f" {project}")[0] for line in start(project, "application.py", CDSW_APP_PORT="8100")]
    assert begun == ["", "-m core prepare", "scripts/serve.py 127.0.0.1 8100"]
    assert len(start(project, "application.py", CDSW_APP_PORT="8100")) == 6


def test_the_application_takes_the_projects_own_settings_and_passes_over_empty_ones(project: Path) -> None:
    own = {"CDSW_APP_PORT": "8100", "GRPO_STUDIO_HOME": "/storage", "EXTRAS": "gpu", "GRPO_STUDIO_TRUSTED_PROXY": ""}
    assert start(project, "application.py", **own)[-1].endswith("/storage 1 application gpu")


@pytest.mark.parametrize(("client", "launcher"), [(True, "cml"), (False, "local")])
def test_without_the_workspaces_client_the_application_trains_inside_and_says_so(
    client: bool, launcher: str, project: Path
) -> None:
    python = project / ".venv" / "bin" / "python"
    importing = f'[ "$1" != -c ] || exit {int(not client)}'
    python.write_text(f'#!/bin/sh\n{importing}\necho "$1 $GRPO_STUDIO_LAUNCHER" >> called\n')
    environment = {"PATH": os.environ["PATH"], "CDSW_APP_PORT": "8100", "GRPO_STUDIO_LAUNCHER": "cml"}
    command = [sys.executable, project / "cml" / "application.py"]
    told = subprocess.run(command, cwd=project, env=environment, check=True, capture_output=True, text=True)
    assert (project / "called").read_text(encoding="utf-8").endswith(f"scripts/serve.py {launcher}\n")
    assert ("trained inside this application" in told.stdout) is not client


def test_a_job_of_the_workspace_is_told_by_its_environment_what_to_train(project: Path) -> None:
    told = {launchers.JOB_FOLDER: "/runs/one", launchers.JOB_HOME: "/storage", launchers.JOB_PROJECT: str(project)}
    (called,) = start(project, "job.py", **told)
    assert called.startswith("-m core.jobs.pod /runs/one /storage")


def test_a_volume_that_cannot_be_written_ends_the_container_with_the_remedy(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    answer = subprocess.run(
        [PROJECT / "scripts" / "container.sh"],
        env={**os.environ, "GRPO_STUDIO_HOME": str(tmp_path)},
        user=65534 if os.getuid() == 0 else None,  # root hands a volume over instead
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 2
    assert "--user root" in answer.stderr
