"""`cdp identity …`: judge the rules that say which records are one person."""

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Which records are one person.", no_args_is_help=True)


@app.command()
def evaluate(
    records: Annotated[
        list[Path], typer.Option(help="CSV or Parquet file of records; may be given again.", metavar="FILE")
    ],
    truth: Annotated[
        Path,
        typer.Option(help="Who is who: record and person, or two records that are one person.", metavar="FILE"),
    ],
    rules: Annotated[
        Path | None,
        typer.Option(help="The rules; left out: the default rules, on columns found by name.", metavar="FILE"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Judge rules on records whose people are known: precision, recall, what each rule finds, what is missed."""
    from rich.console import Console

    from cdp_platform.cli.evaluation_shown import evaluation_document, show_evaluation
    from cdp_platform.identity.evaluate import evaluate as judge
    from cdp_platform.identity.labelled import read_records, read_truth
    from cdp_platform.identity.rule_file import default_rules, read_rules
    from cdp_platform.identity.rules import bind
    from cdp_platform.warehouse.duckdb import DuckDbWarehouse

    chosen = read_rules(rules) if rules else default_rules()
    labelled = read_records(records)
    who = read_truth(truth, bind(chosen, labelled.column_names).key)
    with tempfile.TemporaryDirectory(prefix="cdp-identity-") as folder:
        found = judge(DuckDbWarehouse(Path(folder) / "evaluation.duckdb"), chosen, labelled, who)
    if as_json:
        print(json.dumps(evaluation_document(found), indent=2, ensure_ascii=False))
        return
    show_evaluation(Console(highlight=False), found, is_default=rules is None)


@app.command("rules")
def show_rules() -> None:
    """Print the default rules, to begin a rule file from."""
    from cdp_platform.identity.rule_file import default_rules_text

    print(default_rules_text(), end="")
