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
        lag(answer) over (partition by identifier, entity, channel, purpose order by happened_on) as previous_answer,
        min(case when status = 'confirmed' then happened_on end) over (
            partition by identifier, entity, channel, purpose
            order by happened_on
            rows between current row and unbounded following
        ) as confirmed_on
    from ranked
    where strongest_first = 1

),

-- Only real changes count: our own opt-out, read back from the CRM, is not a second withdrawal. After the newest change
-- there is no other answer, so the confirmation that follows a yes belongs to it.
newest as (

    select
        changes.*,
        row_number() over (
            partition by identifier, entity, channel, purpose
            order by happened_on desc
        ) as newest_first
    from changes
    where previous_answer is null or previous_answer <> answer

)

select
    {{ dbt.concat(["entity", "'|'", "channel", "'|'", "purpose", "'|'", "identifier"]) }} as consent_id,
    identifier,
    identifier_type,
    entity,
    channel,
    purpose,
    case when confirmed_on is not null then 'confirmed' else status end as status,
    lawful_basis,
    event_source as source,
    wording_version,
    proof_reference,
    happened_on as changed_on,
    confirmed_on
from newest
where newest_first = 1
