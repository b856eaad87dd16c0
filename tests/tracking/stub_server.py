"""A stand-in for W&B's servers, which the real SDK talks to: what it uploads is kept in memory, to look at.

It answers what logging, resuming, artifacts of a run and `wandb sync` ask for, and knows nothing of the public API.
"""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

_PROJECT = {"id": "P", "name": "p", "entity": {"id": "E", "name": "me"}}
# What the SDK wants to be told of any artifact that is whole.
_ARTIFACT = {
    "artifactSequence": {"__typename": "ArtifactSequence", "id": "S", "name": "s", "project": _PROJECT},
    "artifactType": {"name": "t"}, "versionIndex": 0, "description": None, "metadata": None, "ttlDurationSeconds": -1,
    "ttlIsInherited": False, "tags": [], "historyStep": None, "state": "COMMITTED", "size": 1, "digest": "D",
    "commitHash": None, "fileCount": 1, "createdAt": "2026-01-31T12:00:00", "updatedAt": None,
}  # fmt: skip


@dataclass
class StubRun:
    """What the server was told of a run."""

    id: str
    project: str
    starts: int = 0
    finished: bool = False
    exit_code: int | None = None
    preempting: bool = False
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    properties: dict[str, Any] = field(default_factory=dict)  # group, job type, tags, name: as GraphQL calls them
    system_metrics: int = 0
    files: dict[str, int] = field(default_factory=dict)  # sizes by name, 0 of those announced and not uploaded

    def bucket(self) -> dict[str, Any]:
        """The run as GraphQL's answers show it."""
        return {
            "id": self.id,
            "name": self.id,
            "displayName": self.properties.get("displayName", self.id),
            "config": json.dumps(self.config),
            "summaryMetrics": json.dumps(self.summary),
            "historyLineCount": len(self.history),
            "historyTail": json.dumps([json.dumps(row) for row in self.history[-1:]]),
            "eventsLineCount": self.system_metrics,
            "eventsTail": json.dumps(["{}"] if self.system_metrics else []),
            "logLineCount": 0,
            "tags": self.properties.get("tags", []),
            "wandbConfig": json.dumps({"t": 1}),
            "project": {"id": "P", "name": self.project, "entity": {"id": "E", "name": "me"}},
        }


@dataclass
class StubArtifact:
    """What the server was told of an artifact."""

    type: str
    name: str
    run: str
    files: dict[str, bytes] = field(default_factory=dict)
    committed: bool = False


class StubServer:
    """Serves on a free port of this machine while its context is open."""

    def __init__(self, takes_artifacts: bool = True) -> None:
        self._takes_artifacts = takes_artifacts
        self.runs: dict[str, StubRun] = {}
        self.artifacts: dict[str, StubArtifact] = {}
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> StubServer:
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """From now on, connections are refused."""
        self._http.shutdown()
        self._http.server_close()

    def _run(self, run_id: str, project: str) -> StubRun:
        return self.runs.setdefault(run_id, StubRun(run_id, project))

    def _answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if "createArtifact(" in query and not self._takes_artifacts:
            return {"data": None, "errors": [{"message": "no artifacts here"}]}
        return {"data": self._graphql(query, variables)}

    def _graphql(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        run_id, project = variables.get("name"), variables.get("project") or "none"
        if "sampledHistory" in query:
            return {"project": {"run": self._logged(self.runs[str(run_id)], map(json.loads, variables["specs"]))}}
        if "RunResumeStatus" in query:
            run = self.runs.get(str(run_id))
            bucket = run.bucket() if run else None
            return {"model": {"id": "P", "name": project, "entity": {"id": "E", "name": "me"}, "bucket": bucket}}
        if "upsertBucket" in query:
            inserted = run_id not in self.runs
            run = self._run(str(run_id), project)
            if variables.get("config"):
                run.config = json.loads(variables["config"])
            run.starts += bool(variables.get("host"))  # later upserts change a running run
            run.properties |= {key: value for key, value in variables.items() if value}
            return {"upsertBucket": {"bucket": run.bucket(), "inserted": inserted}}
        if "rtifact" in query:
            return self._artifact(query, variables.get("input") or variables)
        if "createRunFiles" in query:
            files = [{"name": f, "uploadUrl": f"{self.url}/{variables['run']}/{f}"} for f in variables["files"]]
            announced = dict.fromkeys(variables["files"], 0)
            self.runs[variables["run"]].files = announced | self.runs[variables["run"]].files
            return {"createRunFiles": {"runID": variables["run"], "uploadHeaders": [], "files": files}}
        if "viewer" in query.lower() or "serverInfo" in query:
            teams = {"edges": [{"node": {"name": "me"}}]}
            versions = {"max_cli_version": "99.0.0", "min_cli_version": "0.1"}
            viewer = {"id": "U", "entity": "me", "username": "me", "name": "me", "flags": "{}", "teams": teams}
            return {"viewer": viewer, "serverInfo": {"cliVersionInfo": versions, "features": []}}
        types = re.findall(r"(\w+)\s*:\s*__type", query)
        return {name: {"name": name, "fields": [], "inputFields": [], "args": []} for name in types}

    def _logged(self, run: StubRun, specs: Iterable[dict[str, Any]]) -> dict[str, Any]:
        """For each spec the rows that have all its keys, these alone; and the files that have arrived."""
        sampled = [
            [{key: row[key] for key in spec["keys"]} for row in run.history if row.keys() >= set(spec["keys"])]
            for spec in specs
        ]
        files = [{"node": {"name": name, "sizeBytes": size}} for name, size in run.files.items()]
        return {"sampledHistory": sampled, "files": {"edges": files}}

    def _artifact(self, query: str, given: dict[str, Any]) -> dict[str, Any]:
        if "createArtifact(" in query:
            made = StubArtifact(given["artifactTypeName"], given["artifactCollectionName"], given["runName"])
            self.artifacts[made.name] = made
            sequence = {"id": "S", "latestArtifact": None}
            return {"createArtifact": {"artifact": {"id": made.name, "state": "PENDING", "artifactSequence": sequence}}}
        if "ArtifactManifest(" in query:
            (name,) = re.findall(r"\b((?:create|update)ArtifactManifest)\(", query)
            file = {"id": "F", **self._upload("manifest", "manifest")}
            return {name: {"artifactManifest": {"id": "M", "file": file}}}
        if "createArtifactFiles(" in query:
            files = [
                {"id": "F", "artifact": {"id": one["artifactID"]}, "storagePath": one["name"],
                 "uploadMultipartUrls": None, **self._upload(one["artifactID"], one["name"])}
                for one in given["artifactFiles"]
            ]  # fmt: skip
            return {"createArtifactFiles": {"files": {"edges": [{"node": file} for file in files]}}}
        if "commitArtifact(" in query:
            self.artifacts[given["artifactID"]].committed = True
            return {"commitArtifact": {"artifact": {"id": given["artifactID"], "digest": "d"}}}
        if "ArtifactByID" in query:
            return {"artifact": _ARTIFACT | {"id": given["id"]}}
        return {"project": {"artifact": None}}

    def _upload(self, artifact: str, name: str) -> dict[str, Any]:
        url = f"{self.url}/artifacts/{artifact}/{name}"
        return {"name": name, "displayName": name, "uploadUrl": url, "uploadHeaders": []}

    def _stream(self, run: StubRun, message: dict[str, Any]) -> None:
        for name, chunk in (message.get("files") or {}).items():
            offset, lines = chunk.get("offset", 0), chunk["content"]
            if name == "wandb-history.jsonl":
                run.history[offset:] = [json.loads(line) for line in lines]
            elif name == "wandb-summary.json":
                run.summary = json.loads(lines[-1])
            elif name == "wandb-events.jsonl":
                run.system_metrics = offset + len(lines)
        run.preempting |= bool(message.get("preempting"))
        if message.get("complete"):
            run.finished, run.exit_code = True, message.get("exitcode")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle(self) -> None:
                with suppress(ConnectionError):  # of a client that was killed
                    super().handle()

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def do_PUT(self) -> None:
                body = self._body()
                _, owner, name = self.path.split("/", 2)
                with server._lock:
                    if owner != "artifacts":
                        server.runs[owner].files[name] = len(body)
                    elif (artifact := server.artifacts.get(name.split("/")[0])) is not None:
                        artifact.files[name.split("/", 1)[1]] = body
                self._reply({})

            def do_POST(self) -> None:
                body, stream = self._body(), re.match(r"/files/[^/]+/([^/]+)/([^/]+)/file_stream", self.path)
                with server._lock:
                    if stream:
                        server._stream(server._run(stream[2], stream[1]), json.loads(body))
                        self._reply({"exitcode": None, "limits": {}})
                    elif self.path.startswith("/graphql"):
                        message = json.loads(body)
                        self._reply(server._answer(message["query"], message.get("variables") or {}))
                    else:
                        self._reply({})

            def do_GET(self) -> None:
                self._reply({})

            def _body(self) -> bytes:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

            def _reply(self, answer: dict[str, Any]) -> None:
                body = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler
