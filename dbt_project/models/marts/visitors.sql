with events as (

    select events.*
    from {{ ref('events') }} as events
    inner join {{ ref('loop_clock') }} as clock on events.received_on <= clock.as_of_on

),

described as (

    select
        anonymous_id,
        min(event_day) as first_seen_on,
        max(event_day) as last_seen_on,
        min(case when customer_number is not null then event_day end) as first_login_on,
        count(distinct customer_number) as customer_count,
        min(customer_number) as customer_number
    from events
    group by anonymous_id

)

select
    anonymous_id,
    case when customer_count = 1 then customer_number end as customer_number,
    customer_count,
    first_seen_on,
    last_seen_on,
    first_login_on
from described
