with events as (

    select
        events.message_id,
        events.anonymous_id,
        events.occurred_at,
        nullif({{ dbt.concat([
            "coalesce(events.campaign_source, '')", "'|'",
            "coalesce(events.campaign_medium, '')", "'|'",
            "coalesce(events.campaign_name, '')"
        ]) }}, '||') as campaign
    from {{ ref('events') }} as events
    inner join {{ ref('loop_clock') }} as clock on events.received_on <= clock.as_of_on

),

followed as (

    select
        *,
        lag(occurred_at) over (partition by anonymous_id order by occurred_at, message_id) as previous_at
    from events

),

-- A stay ends after 30 minutes without an event; midnight does not end it.
stays as (

    select
        *,
        sum(case when {{ dbt.datediff('previous_at', 'occurred_at', 'second') }} <= 1800 then 0 else 1 end) over (
            partition by anonymous_id order by occurred_at, message_id rows unbounded preceding
        ) as stay
    from followed

),

-- Within a stay a campaign other than the one before it begins a new session; the same one again does not.
arrivals as (

    select
        message_id,
        coalesce(
            campaign = lag(campaign) over (partition by anonymous_id, stay order by occurred_at, message_id), false
        ) as is_same_campaign
    from stays
    where campaign is not null

),

cut as (

    select
        stays.message_id,
        stays.anonymous_id,
        stays.occurred_at,
        stays.stay,
        sum(case when arrivals.is_same_campaign = false then 1 else 0 end) over (
            partition by stays.anonymous_id, stays.stay
            order by stays.occurred_at, stays.message_id rows unbounded preceding
        ) as part
    from stays
    left join arrivals on stays.message_id = arrivals.message_id

)

select
    message_id,
    anonymous_id,
    first_value(message_id) over (
        partition by anonymous_id, stay, part
        order by occurred_at, message_id rows between unbounded preceding and unbounded following
    ) as session_id,
    cast(row_number() over (
        partition by anonymous_id, stay, part order by occurred_at, message_id
    ) as {{ dbt.type_int() }}) as session_place
from cut
