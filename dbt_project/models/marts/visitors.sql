with events as (

    select events.*
    from {{ ref('events') }} as events
    inner join {{ ref('loop_clock') }} as clock on events.received_on <= clock.as_of_on

),

customers as (

    select * from {{ ref('int_customers__resolved') }}

),

described as (

    select
        events.anonymous_id,
        min(events.event_day) as first_seen_on,
        max(events.event_day) as last_seen_on,
        min(case when events.customer_number is not null then events.event_day end) as first_login_on,
        count(distinct events.customer_number) as customer_count,
        count(distinct customers.person_id) as person_count,
        min(customers.person_id) as person_id
    from events
    left join customers on events.customer_number = customers.customer_number
    group by events.anonymous_id

)

select
    anonymous_id,
    case when person_count = 1 then person_id end as person_id,
    cast(customer_count as {{ dbt.type_int() }}) as customer_count,
    cast(person_count as {{ dbt.type_int() }}) as person_count,
    first_seen_on,
    last_seen_on,
    first_login_on
from described
