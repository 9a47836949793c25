"""Judges a mirror against what a vendor's stand-in holds, asked over HTTP; shares no code with the engine.

It answers with what is wrong, in words; nothing is an empty list.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import requests

from cdp_platform_tests.faults.scenario import TOKEN


def check_mirror(root: Path, vendor: str, sandbox_url: str) -> list[str]:
    """Say what is wrong once the sync is quiet: the vendor holds the model and nothing else, and so says the ledger."""
    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as warehouse:
        model = _rows(warehouse, "select person_id, email, last_name from activation.people")
        [name] = [row["ledger_id"] for row in _rows(warehouse, "select ledger_id from cdp.ledgers")]
        ledger = _rows(warehouse, f'select "key", fingerprint from cdp.ledger_{name}')
        runs = _rows(warehouse, "select * from cdp.sync_runs")
        logged = _rows(warehouse, "select run_id, count(*) as n from cdp.sync_log group by run_id")
        twice = _rows(
            warehouse, "select primary_key from cdp.sync_log group by primary_key, version having count(*) > 1"
        )
    held, wanted = _held(vendor, sandbox_url), _wanted(vendor, model)
    wrong = [f"G2: {one} should be there" for one in sorted(wanted - held)]
    wrong += [f"G1: {one} should not be there" for one in sorted(held - wanted)]
    known = {row["key"] for row in ledger if row["fingerprint"] is not None}
    wrong += [f"G1: ledger and model differ in {key}" for key in known ^ {row["person_id"] for row in model}]
    wrong += [f"the sync log has a version of {row['primary_key']} twice" for row in twice]
    return [*wrong, *_judge_books(runs, {row["run_id"]: row["n"] for row in logged})]


def jobs_done(sandbox_url: str) -> int:
    """How many bulk jobs Salesforce has processed."""
    told = requests.get(f"{sandbox_url}/sandbox/salesforce/stats", headers=_bearer(), timeout=10).json()
    return int(told["jobs"].get("JobComplete", 0))


def _held(vendor: str, url: str) -> set[str]:
    if vendor == "salesforce":
        soql = "SELECT CDP_Person_Id__c, Email, LastName FROM Contact WHERE CDP_Person_Id__c != null"
        told = requests.get(
            f"{url}/services/data/v67.0/query", params={"q": soql}, headers=_bearer(), timeout=10
        ).json()
        assert told["done"]
        found = [_said(row["CDP_Person_Id__c"], row["Email"], row["LastName"]) for row in told["records"]]
        assert len(found) == len(set(found)), "one person has two records"
        return set(found)
    if vendor == "meta_audiences":
        (audience,) = requests.get(f"{url}/sandbox/meta/state", timeout=10).json()["audiences"]
        return _all(audience["members"], "EMAIL")
    lists = requests.get(f"{url}/sandbox/google/state", timeout=10).json()["lists"]
    return _all(lists[0]["members"], "emailAddress")


def _wanted(vendor: str, model: list[dict[str, Any]]) -> set[str]:
    if vendor == "salesforce":
        return {_said(row["person_id"], row["email"], row["last_name"]) for row in model}
    return {hashlib.sha256(row["email"].encode()).hexdigest() for row in model}


def _all(members: Iterable[dict[str, list[str]]], kind: str) -> set[str]:
    """Every identifier of a kind that points at somebody in the audience, former ones among them."""
    return {value for member in members for value in member.get(kind, [])}


def _said(*values: str | None) -> str:
    return " ".join(value or "–" for value in values)


def _bearer() -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKEN}"}


def _judge_books(runs: list[dict[str, Any]], logged: dict[str, int]) -> list[str]:
    wrong = []
    for run in runs:
        ended = sum(run[name] for name in ("delivered", "rejected", "unknown", "skipped", "pending"))
        if run["planned"] != ended or min(run["planned"], run["pending"]) < 0:
            wrong.append(f"G14: {run['run_id']} planned {run['planned']} and accounts for {ended}")
        if run["delivered"] != logged.get(run["run_id"], 0):
            wrong.append(f"G14: {run['run_id']} says {run['delivered']} delivered, the sync log does not")
    return wrong


def _rows(warehouse: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    cursor = warehouse.execute(sql)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
