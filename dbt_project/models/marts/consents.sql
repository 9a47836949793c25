with events as (

    select * from {{ ref('int_consent_events__unioned') }}

),

-- One event per day: a no beats a yes of the same day.
ranked as (

    select
        events.*,
        row_number() over (
            partition by identifier, entity, channel, purpose, happened_on
            order by case when status = 'withdrawn' then 0 else 1 end, event_source
        ) as strongest_first
    from events

),

changes as (

    select
        ranked.*,
        lag(status) over (partition by identifier, entity, channel, purpose order by happened_on) as previous_status
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
    where previous_status is null or previous_status <> status

)

select
    {{ dbt.concat(["entity", "'|'", "channel", "'|'", "purpose", "'|'", "identifier"]) }} as consent_id,
    identifier,
    identifier_type,
    entity,
    channel,
    purpose,
    status,
    event_source as source,
    happened_on as changed_on
from newest
where newest_first = 1
