with events as (

    select
        events.*,
        session_events.session_id,
        session_events.session_place,
        customers.person_id
    from {{ ref('events') }} as events
    inner join {{ ref('session_events') }} as session_events on events.message_id = session_events.message_id
    left join {{ ref('int_customers__resolved') }} as customers on events.customer_number = customers.customer_number

),

visitors as (

    select * from {{ ref('visitors') }}

),

counted as (

    select
        session_id,
        min(occurred_at) as started_at,
        max(occurred_at) as ended_at,
        count(*) as event_count,
        sum(case when event_name = 'product_viewed' then 1 else 0 end) as product_view_count,
        sum(case when event_name = 'coupon_viewed' then 1 else 0 end) as coupon_view_count,
        sum(case when event_name = 'cart_updated' then 1 else 0 end) as cart_update_count,
        count(customer_number) as logged_in_event_count,
        count(distinct person_id) as person_count,
        min(person_id) as person_id
    from events
    group by session_id

)

select
    counted.session_id,
    entries.anonymous_id,
    case when counted.person_count = 1 then counted.person_id else visitors.person_id end as person_id,
    entries.event_day as session_day,
    counted.started_at,
    counted.ended_at,
    cast({{ dbt.datediff('counted.started_at', 'counted.ended_at', 'second') }} as {{ dbt.type_int() }})
        as duration_seconds,
    counted.logged_in_event_count > 0 as is_logged_in,
    cast(counted.event_count as {{ dbt.type_int() }}) as event_count,
    cast(counted.product_view_count as {{ dbt.type_int() }}) as product_view_count,
    cast(counted.coupon_view_count as {{ dbt.type_int() }}) as coupon_view_count,
    cast(counted.cart_update_count as {{ dbt.type_int() }}) as cart_update_count,
    entries.page_path as landing_page_path,
    entries.referrer,
    entries.campaign_source,
    entries.campaign_medium,
    entries.campaign_name
from counted
inner join events as entries on counted.session_id = entries.session_id and entries.session_place = 1
left join visitors on entries.anonymous_id = visitors.anonymous_id
