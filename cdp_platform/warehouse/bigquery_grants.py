"""Which rights the platform lacks in a project of BigQuery's, told as the statements that grant them.

Each right is tried, not looked up: roles come from projects, folders and datasets, and no one place tells them all.
"""

from collections.abc import Iterator, Sequence

from google.api_core.exceptions import Forbidden, NotFound
from google.api_core.retry import Retry
from google.cloud import bigquery

from cdp_platform.warehouse.accounts import BigQueryAccount
from cdp_platform.warehouse.bigquery_connecting import provide

_PLATFORM_DATASET = "cdp"
_PROBE = "cdp_probe"
_SCHEMA = [bigquery.SchemaField("n", "INT64")]


def missing_grants(
    client: bigquery.Client, account: BigQueryAccount, relations: Sequence[str], member: str, retry: Retry
) -> list[str]:
    """The statements for an administrator, for gcloud where they begin with it, in SQL otherwise.

    `member` is whom they are for, as `serviceAccount:cdp@acme.iam.gserviceaccount.com`. Raises the client's errors
    other than those of missing rights.
    """
    try:
        client.query("select 1", job_config=bigquery.QueryJobConfig(dry_run=True), retry=retry, job_retry=None)
    except Forbidden:
        role = "roles/bigquery.jobUser"
        return [f"gcloud projects add-iam-policy-binding {account.project} --member={member} --role={role}"]
    return [*_of_datasets(client, account, member, retry), *_of_relations(client, account, relations, member, retry)]


def _of_datasets(client: bigquery.Client, account: BigQueryAccount, member: str, retry: Retry) -> Iterator[str]:
    for name in dict.fromkeys((_PLATFORM_DATASET, account.dataset, account.temporary_dataset)):
        place = f"`{account.project}`.`{name}`"
        try:
            provide(client, account, name, retry)
        except Forbidden:
            yield f"create schema if not exists {place} options (location = '{account.location}')"
            yield _grant("dataEditor", place, member)
            continue
        table = f"{account.project}.{name}.{_PROBE}"
        try:
            client.create_table(bigquery.Table(table, schema=_SCHEMA), exists_ok=True, retry=retry)
            client.delete_table(table, not_found_ok=True, retry=retry)
        except Forbidden:
            yield _grant("dataEditor", place, member)


def _of_relations(
    client: bigquery.Client, account: BigQueryAccount, relations: Sequence[str], member: str, retry: Retry
) -> Iterator[str]:
    hidden: dict[str, list[str]] = {}
    for relation in relations:
        dataset, _, table = relation.rpartition(".")
        sql = f"select * from `{account.project}`.`{dataset or account.dataset}`.`{table}`"
        try:
            client.query(sql, job_config=bigquery.QueryJobConfig(dry_run=True), retry=retry, job_retry=None)
        except (Forbidden, NotFound):
            hidden.setdefault(dataset or account.dataset, []).append(relation)
    for dataset, names in sorted(hidden.items()):
        grant = _grant("dataViewer", f"`{account.project}`.`{dataset}`", member)
        yield f"{grant}; or build what is not there yet: {', '.join(names)}"


def _grant(role: str, place: str, member: str) -> str:
    return f'grant `roles/bigquery.{role}` on schema {place} to "{member}"'
