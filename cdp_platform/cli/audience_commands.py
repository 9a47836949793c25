"""`cdp audience list`, `show`, `diff`, `explain`: whom audiences hold, why, and what a changed definition would do."""

import json
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from cdp_platform.audiences.definition import Definition
from cdp_platform.cli import declared_audiences as declared
from cdp_platform.errors import CdpError
from cdp_platform.texts.catalogue import LANGUAGES, text

app = typer.Typer(no_args_is_help=True, help="Audiences: whom they hold, why, and what a changed definition would do.")


def _known_language(language: str) -> str:
    if language not in LANGUAGES:
        raise typer.BadParameter(f"choose from {', '.join(LANGUAGES)}")
    return language


AudienceName = Annotated[str, typer.Argument(help="The audience's name, as coupon_lovers.", metavar="NAME")]
Language = Annotated[str, typer.Option(help="en or zh-Hant.", callback=_known_language)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command("list")
def list_audiences(language: Language = "en", as_json: AsJson = False) -> None:
    """List the audiences with their sizes, and say where the YAML is not what the newest run has taken over."""
    from cdp_platform.audiences.membership import standings

    found = declared.declared_audiences()
    standing = {}
    if declared.has_warehouse():
        with declared.asked_session("listing the audiences") as (session, _):
            standing = standings(session)
    documents = []
    for name, (definition, _) in sorted(found.items()):
        known = standing.get(name)
        documents.append(
            {
                "name": name,
                "label": definition.label(language),
                "as_of": known.as_of.isoformat() if known else None,
                "members": known.members if known else None,
                "held_out": known.held_out if known else None,
                "is_changed": known is not None and known.version != definition.version,
            }
        )
    if as_json:
        _print_json({"audiences": documents})
        return
    table = _table(">members", ">held out", "as of", "audience", "", "")
    for one in documents:
        state = "never computed" if one["as_of"] is None else "YAML changed since" if one["is_changed"] else ""
        table.add_row(*(_cell(one[field]) for field in ("members", "held_out", "as_of", "name", "label")), state)
    Console(highlight=False).print(table)


@app.command()
def show(name: AudienceName, language: Language = "en", as_json: AsJson = False) -> None:
    """Say a definition in words, with how many people meet each condition on the data as it is now."""
    from cdp_platform.audiences.compile import compile_audience
    from cdp_platform.audiences.definition import steps_of
    from cdp_platform.audiences.membership import require_asked
    from cdp_platform.audiences.sizes import ConditionSize, Sizes, measure
    from cdp_platform.audiences.words import condition_words, ending_words, reason_words

    definition, catalogue = declared.find_audience(name)
    sizes: Sizes | None = None
    if declared.has_warehouse():
        with declared.asked_session(f"measuring {name}") as (session, as_of):
            require_asked(session, definition, as_of)
            sizes = measure(session, compile_audience(definition, catalogue, as_of=as_of))
    conditions = (
        sizes.conditions if sizes else tuple(ConditionSize(step=step, met=0) for step in steps_of(definition.condition))
    )
    document = {
        "name": name,
        "label": definition.label(language),
        "definition_version": definition.version,
        "people": sizes.people if sizes else None,
        "members": sizes.members if sizes else None,
        "conditions": [
            {
                "depth": one.step.depth,
                "says": condition_words(one.step.condition, language),
                "met": one.met if sizes else None,
                "still": one.still,
                "without": one.without,
                "left_out": [
                    {"reason": reason, "says": reason_words(reason, language), "people": count}
                    for reason, count in one.left_out.items()
                ],
            }
            for one in conditions
        ],
        "then": ending_words(definition, language),
    }
    if as_json:
        _print_json(document)
        return
    _show(document, language)


@app.command()
def diff(
    name: AudienceName,
    examples: Annotated[int, typer.Option(help="Keys of people that are shown of each kind.", min=0, max=1000)] = 5,
    as_json: AsJson = False,
) -> None:
    """Say who would enter and who would leave if the YAML as it is now were taken over. Changes nothing."""
    from cdp_platform.audiences.compile import compile_audience
    from cdp_platform.audiences.membership import Change, compare, require_asked, stored_definition
    from cdp_platform.components.audience import definition_before

    definition, catalogue = declared.find_audience(name)
    with declared.asked_session(f"comparing {name}") as (session, as_of):
        require_asked(session, definition, as_of)
        is_taken = stored_definition(session, name) is not None
        before = definition_before(session, definition, catalogue)
        if before is None and is_taken:
            raise CdpError(
                f"what the newest run of {name} took over names something that is not there any more.",
                remedy="Look at its members: select * from audiences.audience_members.",
            )
        change = Change(gained=0, lost=0)
        if before is None or before.version != definition.version:
            new = compile_audience(definition, catalogue, as_of=as_of)
            former = before or _nobody(definition)
            old = compile_audience(former, catalogue, as_of=as_of, after=len(new.parameters))
            change = compare(session, new, old, examples=examples)
    document = {
        "name": name,
        "as_of": as_of.isoformat(),
        "is_taken_over": is_taken,
        "is_changed": before is None or before.version != definition.version,
        "gained": change.gained,
        "lost": change.lost,
        "gained_examples": list(change.gained_keys),
        "lost_examples": list(change.lost_keys),
    }
    if as_json:
        _print_json(document)
        return
    _tell_change(document)


@app.command()
def explain(
    name: AudienceName,
    person: Annotated[str, typer.Argument(help="The person's key.", metavar="PERSON")],
    language: Language = "en",
    is_shown: Annotated[bool, typer.Option("--show", help="Do not mask personal values.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say in one sentence why a person is a member, or is not: what decides it, with the person's values."""
    from cdp_platform.audiences.compile import compile_audience
    from cdp_platform.audiences.explanation import explain as explain_person
    from cdp_platform.audiences.explanation import reason_words, sentence
    from cdp_platform.audiences.membership import require_asked

    definition, catalogue = declared.find_audience(name)
    with declared.asked_session(f"explaining {name}") as (session, as_of):
        require_asked(session, definition, as_of)
        known = explain_person(session, definition, compile_audience(definition, catalogue, as_of=as_of), person)
    told = sentence(definition, known, language, is_shown=is_shown)
    if not as_json:
        print(told)
        return
    _print_json(
        {
            "audience": name,
            "person_id": person,
            "as_of": as_of.isoformat(),
            "is_known": known.is_known,
            "is_member": known.is_member,
            "is_held_out": known.is_held_out,
            "meets_rule": known.meets_rule,
            "says": told,
            "reasons": [
                {"holds": reason.holds, "says": reason_words(reason, language, is_shown=is_shown)}
                for reason in known.reasons
            ],
        }
    )


def _show(document: dict[str, Any], language: str) -> None:
    console = Console(highlight=False)
    size = ""
    if document["members"] is not None:
        size = text("audience.size", language, members=document["members"], people=document["people"])
    console.print(f"[bold]{escape(document['label'])}[/] ({document['name']}) {escape(size)}")
    counts = ("met", "still", "without") if document["members"] is not None else ()
    head = [text(f"audience.column.{column}", language) for column in (*counts, "condition")]
    table = _table(*(f">{word}" for word in head[:-1]), head[-1])
    for one in document["conditions"]:
        table.add_row(
            *(_cell(one[field]) for field in counts), Padding(escape(one["says"]), (0, 0, 0, 2 * one["depth"]))
        )
        for left in one["left_out"] if counts else ():
            says = Padding(escape(left["says"]), (0, 0, 0, 2 * one["depth"] + 2))
            table.add_row(_cell(left["people"]), "", "", says)
    console.print(table)
    for said in document["then"]:
        console.print(f"  {escape(said)}")


def _tell_change(document: dict[str, Any]) -> None:
    if not document["is_changed"]:
        print(f"{document['name']}: the YAML says what the newest run has taken over. Nobody would enter or leave.")
        return
    if not document["is_taken_over"]:
        print(f"{document['name']} was never computed: every member would be new.")
    print(
        f"As of {document['as_of']}, if the YAML were taken over: {document['gained']:,} would enter,"
        f" {document['lost']:,} would leave."
    )
    for word in ("gained", "lost"):
        if document[f"{word}_examples"]:
            sign = "+" if word == "gained" else "−"
            print("  " + "  ".join(f"{sign} {key}" for key in document[f"{word}_examples"]))
    print(f"Nothing is changed yet; take it over by materializing audiences/{document['name']}.")


def _nobody(definition: Definition) -> Definition:
    """The audience before its first run."""
    from dataclasses import replace

    from cdp_platform.audiences.definition import All, Not

    nobody = All(conditions=(definition.members, Not(condition=definition.members)))
    return replace(definition, members=nobody, yields_to=(), top=None)


def _table(*head: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", padding=(0, 1), pad_edge=False)
    for title in head:
        table.add_column(title.removeprefix(">"), justify="right" if title.startswith(">") else "left")
    return table


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else escape(str(value))


def _print_json(document: object) -> None:
    print(json.dumps(document, indent=2, ensure_ascii=False))
