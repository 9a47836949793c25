with events as (

    select
        int_consent_events.*,
        case when status = 'withdrawn' then 'no' else 'yes' end as answer
    from {{ ref('int_consent_events__unioned') }} as int_consent_events

),

-- One event per day: a no beats a yes of the same day, and a confirmed yes one that is not.
ranked as (

    select
        events.*,
        row_number() over (
            partition by identifier, entity, channel, purpose, happened_on
            order by case status when 'withdrawn' then 0 when 'confirmed' then 1 else 2 end, event_source
        ) as strongest_first
    from events

),

changes as (

    select
        ranked.*,
        lag(answer) over (partition by identifier, entity, channel, purpose order by happened_on) as previous_answer
    from ranked
    where strongest_first = 1

),

-- Only real changes count: our own opt-out, read back from the CRM, is not a second withdrawal.
newest as (

    select
        changes.*,
        row_number() over (
            partition by identifier, entity, channel, purpose
            order by happened_on desc
        ) as newest_first
    from changes
    where previous_answer is null or previous_answer <> answer

),

-- A confirmation may come with the yes or later; whatever was confirmed before a no is gone with it.
confirmations as (

    select
        newest.identifier,
        newest.entity,
        newest.channel,
        newest.purpose,
        min(ranked.happened_on) as confirmed_on
    from newest
    inner join ranked
        on newest.identifier = ranked.identifier and newest.entity = ranked.entity
        and newest.channel = ranked.channel and newest.purpose = ranked.purpose
        and newest.happened_on <= ranked.happened_on
    where newest.newest_first = 1 and newest.answer = 'yes' and ranked.status = 'confirmed'
    group by newest.identifier, newest.entity, newest.channel, newest.purpose

)

select
    {{ dbt.concat(["newest.entity", "'|'", "newest.channel", "'|'", "newest.purpose", "'|'", "newest.identifier"]) }}
        as consent_id,
    newest.identifier,
    newest.identifier_type,
    newest.entity,
    newest.channel,
    newest.purpose,
    case when confirmations.confirmed_on is not null then 'confirmed' else newest.status end as status,
    newest.lawful_basis,
    newest.event_source as source,
    newest.wording_version,
    newest.proof_reference,
    newest.happened_on as changed_on,
    confirmations.confirmed_on
from newest
left join confirmations
    on newest.identifier = confirmations.identifier and newest.entity = confirmations.entity
    and newest.channel = confirmations.channel and newest.purpose = confirmations.purpose
where newest.newest_first = 1
