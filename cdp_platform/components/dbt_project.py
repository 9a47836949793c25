"""dbt as a process of its own: parse when the project's files have changed, build what was chosen.

dbt keeps its parsed project between runs, so that a build of other days parses nothing anew.
"""

import fcntl
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cdp_platform.components.at_work import at_work
from cdp_platform.components.column_lineage import LINEAGE_FILE, ColumnLineage
from cdp_platform.components.dbt_manifest import DbtManifest
from cdp_platform.components.dbt_server import DBT
from cdp_platform.components.one_look import once
from cdp_platform.components.processes import end_with_parent
from cdp_platform.components.resources import child_environment, variable
from cdp_platform.domain.home import Home
from cdp_platform.errors import CdpError, ConfigError
from cdp_platform.warehouse.choice import dbt_environment

_PARSING: Final = "cdp_platform.components.dbt_parsing"
_PARSE_SECONDS: Final = 180
_BUILD_SECONDS: Final = 1800
_SOURCES: Final = ("*.sql", "*.yml", "*.yaml", "*.csv", "*.md")
_CLOCK_TIME: Final = re.compile(r"^\d\d:\d\d:\d\d\s+")
_OUTPUT_FOLDERS: Final = {"target", "logs", "dbt_packages"}


@dataclass(frozen=True, kw_only=True)
class DbtResult:
    """What became of one node of a build."""

    unique_id: str
    status: str
    """success, pass, warn, fail, error or skipped."""
    message: str
    failures: int
    """Rows that a test found; 0 where it passed or is no test."""
    seconds: float


@dataclass(frozen=True, kw_only=True)
class DbtProject:
    """A dbt project's folder, with the home that holds what dbt writes."""

    folder: Path
    home: Home

    def manifest(self) -> DbtManifest:
        """Return the manifest, parsing the project first where its files are newer.

        Raises ConfigError where the folder holds no project or dbt cannot parse it.
        """
        return once(("manifest", self), self._manifest)

    def _manifest(self) -> DbtManifest:
        if not (self.folder / "dbt_project.yml").is_file():
            raise ConfigError(f"there is no dbt project in {self.folder}.", field="project")
        file = self.home.dbt_target / "manifest.json"
        if self._is_stale(file):
            self.home.dbt_target.mkdir(parents=True, exist_ok=True)
            with open(self.home.dbt_target / "parse.lock", "w", encoding="utf-8") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if self._is_stale(file):
                    self._parse()
        return DbtManifest.read(file)

    def column_lineage(self) -> ColumnLineage:
        """Return from which columns those of the models are made, as of the newest parse. Raises like `manifest`."""
        self.manifest()
        return ColumnLineage.read(self.home.dbt_target / LINEAGE_FILE)

    def build(self, names: Sequence[str], days: tuple[str, str] | None) -> dict[str, DbtResult]:
        """Build models and run tests, chosen by name; the caller keeps others out of the warehouse meanwhile.

        `days` are the first day and the day after the last. Returns results by unique id, also of what failed.
        Raises CdpError where dbt ended without results.
        """
        target = self.home.dbt_target / "build"
        self._share_parsed(target)
        results = target / "run_results.json"
        results.unlink(missing_ok=True)
        bounds = ["--event-time-start", days[0], "--event-time-end", days[1]] if days else []
        choice = ["--indirect-selection", "empty", "--exclude-resource-type", "unit_test", "--select", *names]
        line = [*self._options("build", target), *bounds, *choice]
        try:
            # What the project's query comment and query tags say of each statement.
            work = {"CDP_DBT_WORK": json.dumps(at_work())}
            ended = DBT.run(line, self._environment(target) | work, timeout_seconds=_BUILD_SECONDS)
        except TimeoutError:
            raise CdpError(f"dbt build did not end within {_BUILD_SECONDS} s and was stopped.") from None
        sys.stdout.write(ended.output)
        if not results.is_file():
            raise CdpError(
                f"dbt ended with exit code {ended.returncode} before it built anything: {_complaint(ended.output)}"
            )
        return _read_results(results)

    def _parse(self) -> None:
        scratch = self.home.dbt_target / "parse"
        try:
            ended = subprocess.run(
                [sys.executable, "-W", "ignore", "-m", _PARSING, *self._options("parse", scratch)],
                env=self._environment(scratch),
                capture_output=True,
                text=True,
                timeout=_PARSE_SECONDS,
                check=False,
                preexec_fn=end_with_parent,
            )
        except subprocess.TimeoutExpired as error:
            raise CdpError(f"dbt parse did not end within {_PARSE_SECONDS} s and was stopped.") from error
        sys.stdout.write(ended.stdout)
        if ended.returncode != 0:
            told = _complaint(ended.stdout + ended.stderr)
            raise ConfigError(f"dbt cannot parse the project: {told}", place=str(self.folder))
        # A rename, so that whoever reads the manifest meanwhile sees the old one or the new one.
        for name in (LINEAGE_FILE, "manifest.json"):
            (scratch / name).replace(self.home.dbt_target / name)

    def _share_parsed(self, target: Path) -> None:
        parsed = self.home.dbt_target / "parse" / "partial_parse.msgpack"
        if parsed.is_file() and not (target / parsed.name).is_file():
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(parsed, target / parsed.name)

    def _options(self, command: str, target: Path) -> list[str]:
        options = {"--project-dir": self.folder, "--target-path": target}
        if (self.folder / "profiles.yml").is_file():
            options["--profiles-dir"] = self.folder
        line = ["--no-use-colors", "--no-version-check", command]
        for option, value in options.items():
            line += [option, str(value)]
        return line

    def _environment(self, target: Path) -> dict[str, str]:
        return child_environment(
            **dbt_environment(self.home, child_environment()),
            DBT_SEND_ANONYMOUS_USAGE_STATS="false",
            DBT_LOG_PATH=str(target),
            # What it logs of each node when debugging costs a fifth of a build.
            DBT_LOG_LEVEL_FILE=variable("DBT_LOG_LEVEL_FILE") or "info",
        )

    def _is_stale(self, manifest: Path) -> bool:
        if not manifest.is_file() or not (self.home.dbt_target / LINEAGE_FILE).is_file():
            return True
        made_at = manifest.stat().st_mtime
        files = self._files()
        # A folder changes when a file in it is removed; the project's own one also when dbt or DuckDB work in it.
        folders = {file.parent for file in files} - {self.folder}
        return any(path.stat().st_mtime > made_at for path in (*files, *folders))

    def _files(self) -> list[Path]:
        return [
            file
            for pattern in _SOURCES
            for file in self.folder.rglob(pattern)
            if not _OUTPUT_FOLDERS & set(file.relative_to(self.folder).parts)
        ]


def _read_results(file: Path) -> dict[str, DbtResult]:
    results: list[Mapping[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["results"]
    return {
        result["unique_id"]: DbtResult(
            unique_id=result["unique_id"],
            status=str(result["status"]),
            message=" ".join(str(result.get("message") or "").split()),
            failures=int(result.get("failures") or 0),
            seconds=float(result.get("execution_time") or 0),
        )
        for result in results
    }


def _complaint(output: str) -> str:
    told = [_CLOCK_TIME.sub("", line) for line in output.splitlines()]
    lines = [line for line in told if line.strip() and "Encountered an error" not in line]
    start = next(
        (place for place, line in enumerate(lines) if "Error" in line or "error" in line), max(len(lines) - 5, 0)
    )
    return " ".join(" ".join(lines[start : start + 5]).split())[:600]
