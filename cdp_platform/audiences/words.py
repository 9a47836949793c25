"""A definition in words, in each language of the catalogue of texts."""

from decimal import Decimal

from cdp_platform.audiences.definition import (
    All,
    AnyOf,
    Comparison,
    Condition,
    ConsentCondition,
    Definition,
    EventCondition,
    MembershipCondition,
    Not,
    Occurrence,
    Operator,
    SequenceCondition,
    TraitCondition,
    Value,
    children_of,
)
from cdp_platform.texts.catalogue import has_text, text, written_value


def condition_words(condition: Condition, language: str) -> str:
    """Say what one condition asks; of a block only how its parts belong together."""
    match condition:
        case All():
            return text("audience.rule.all", language)
        case AnyOf():
            return text("audience.rule.any", language)
        case Not():
            return text("audience.rule.not", language)
        case TraitCondition():
            asked = comparison_words(condition.comparison, language)
            return text("audience.rule.trait", language, what=condition.trait.label(language), asked=asked)
        case EventCondition():
            what = occurrence_words(condition.occurrence, language)
            return text("audience.rule.event", language, what=what, asked=times_words(condition, language))
        case SequenceCondition():
            return sequence_words(condition, language)
        case ConsentCondition():
            return text("audience.rule.consent", language, **consent_parameters(condition, language))
        case MembershipCondition():
            return text("audience.rule.audience", language, audience=condition.audience)


def rule_words(definition: Definition, language: str) -> str:
    """Say a whole definition in one sentence."""
    condition = definition.condition
    parts = condition.conditions if isinstance(condition, All) else (condition,)
    told = [_whole_words(part, language) for part in parts] + ending_words(definition, language)
    return text("audience.sentence", language, rule=text("audience.because", language).join(told))


def _whole_words(condition: Condition, language: str) -> str:
    words, parts = condition_words(condition, language), children_of(condition)
    if not parts:
        return words
    inside = text("audience.because", language).join(_whole_words(part, language) for part in parts)
    return text("audience.where", language, what=words, fields=inside)


def comparison_words(comparison: Comparison, language: str) -> str:
    """Say what is asked of a value, as `is at least 12`."""
    operator, values = comparison.operator, comparison.values
    match operator:
        case Operator.IS_KNOWN:
            return text("audience.asked.is_known" if values[0] else "audience.asked.is_unknown", language)
        case Operator.BETWEEN:
            low, high = (value_words(value, language) for value in values)
            return text("audience.asked.between", language, low=low, high=high)
        case Operator.WITHIN_DAYS | Operator.LONGER_AGO_THAN_DAYS:
            return text(f"audience.asked.{operator}", language, count=values[0])
    listed = text("audience.or", language).join(value_words(value, language) for value in values)
    return text(f"audience.asked.{operator}", language, value=listed)


def occurrence_words(occurrence: Occurrence, language: str) -> str:
    """Say which events are meant, as `purchases (receipt is at least 100) in the last 90 days`."""
    what = occurrence.event.label(language)
    if occurrence.where:
        fields = [
            text(
                "audience.rule.trait",
                language,
                what=one.field.label(language),
                asked=comparison_words(one.comparison, language),
            )
            for one in occurrence.where
        ]
        what = text("audience.where", language, what=what, fields=text("audience.and", language).join(fields))
    if occurrence.within_days is not None:
        what = text("audience.window", language, what=what, count=occurrence.within_days)
    return what


def times_words(condition: EventCondition, language: str) -> str:
    """Say how often something is to have happened."""
    return text(f"audience.times.{condition.operator}", language, count=condition.count)


def sequence_words(condition: SequenceCondition, language: str) -> str:
    """Say what is to have come after what."""
    return text(
        "audience.rule.sequence",
        language,
        first=occurrence_words(condition.first, language),
        then=occurrence_words(condition.then, language),
        count=condition.gap_days,
    )


def consent_parameters(condition: ConsentCondition, language: str) -> dict[str, str]:
    """Purpose and channel as people say them, where the catalogue of texts knows them."""
    purpose, channel = f"audience.purpose.{condition.purpose}", f"audience.channel.{condition.channel}"
    return {
        "purpose": text(purpose, language) if has_text(purpose) else condition.purpose,
        "channel": text(channel, language) if has_text(channel) else condition.channel,
    }


def reason_words(reason: str, language: str) -> str:
    """Say why a consent leaves people out."""
    return text(f"audience.left_out.{reason}", language)


def ending_words(definition: Definition, language: str) -> list[str]:
    """Say what is chosen of those for whom the rule holds: the first by a trait, and how many are held out."""
    said = []
    if definition.top:
        which = "highest" if definition.top.is_highest else "lowest"
        trait = definition.top.by.label(language)
        said.append(text(f"audience.top.{which}", language, count=definition.top.count, trait=trait))
    if definition.holdout_share is not None:
        share = Decimal(str(definition.holdout_share)) * 100
        said.append(text("audience.holdout", language, share=f"{share.normalize():f}"))
    return said


def value_words(value: Value | None, language: str) -> str:
    """Write a value; text stands in the language's quotes."""
    if value is None:
        return text("audience.unknown", language)
    if isinstance(value, str):
        return text("audience.quoted", language, value=value)
    return written_value(Decimal(str(value)) if isinstance(value, float) else value, language)
