"""Stands in for the client that a Cloudera AI workspace hands out: its classes, methods and fields by their real names,
as far as the studio uses them. It speaks API v2 over HTTP to the stand-in of the workspace, `tests.build_cml`."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace
from typing import Any

import urllib3

from cmlapi import rest


class _Request:
    fields: tuple[str, ...] = ()

    def __init__(self, **values: Any) -> None:
        unknown = values.keys() - set(self.fields)
        if unknown:
            raise TypeError(f"got an unexpected keyword argument '{unknown.pop()}'")
        self.values = values


class CreateJobRequest(_Request):
    fields = (
        *("project_id", "name", "script", "cpu", "memory", "nvidia_gpu", "parent_job_id", "environment", "arguments"),
        *("timeout", "schedule", "kernel", "recipients", "attachments", "runtime_identifier"),
        *("runtime_addon_identifiers", "kill_on_timeout", "timezone", "paused", "run_as", "accelerator_label_id"),
    )


class CreateJobRunRequest(_Request):
    fields = ("project_id", "job_id", "environment", "arguments")


class CMLServiceApi:
    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url, key
        self._pool = urllib3.PoolManager(retries=False, timeout=10)

    def create_job(self, body: CreateJobRequest, project_id: str) -> Any:
        return self._call("POST", f"projects/{project_id}/jobs", body.values)

    def get_job(self, project_id: str, job_id: str) -> Any:
        return self._call("GET", f"projects/{project_id}/jobs/{job_id}")

    def create_job_run(self, body: CreateJobRunRequest, project_id: str, job_id: str) -> Any:
        return self._call("POST", f"projects/{project_id}/jobs/{job_id}/runs", body.values)

    def get_job_run(self, project_id: str, job_id: str, run_id: str) -> Any:
        return self._call("GET", f"projects/{project_id}/jobs/{job_id}/runs/{run_id}")

    def stop_job_run(self, project_id: str, job_id: str, run_id: str) -> Any:
        return self._call("POST", f"projects/{project_id}/jobs/{job_id}/runs/{run_id}:stop")

    def list_applications(self, project_id: str, page_size: int = 10) -> Any:
        return self._call("GET", f"projects/{project_id}/applications?page_size={page_size}")

    def _call(self, method: str, path: str, values: Any = None) -> Any:
        body = json.dumps(values or {}).encode() if method == "POST" else None
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        answer = self._pool.request(method, f"{self._url}/api/v2/{path}", body=body, headers=headers)
        if not 200 <= answer.status <= 299:
            raise rest.ApiException(status=answer.status, reason=answer.reason)
        return json.loads(answer.data, object_hook=lambda values: SimpleNamespace(**values))


def default_client(url: str | None = None, cml_api_key: str | None = None) -> CMLServiceApi:
    return CMLServiceApi(
        url or os.environ["CDSW_API_URL"].removesuffix("/api/v1"), cml_api_key or os.environ["CDSW_APIV2_KEY"]
    )
