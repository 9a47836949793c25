with events as (

    select
        events.*,
        session_events.session_id,
        session_events.session_place
    from {{ ref('events') }} as events
    inner join {{ ref('session_events') }} as session_events on events.message_id = session_events.message_id

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
        count(distinct customer_number) as customer_count,
        min(customer_number) as customer_number
    from events
    group by session_id

)

select
    counted.session_id,
    entries.anonymous_id,
    case when counted.customer_count = 1 then counted.customer_number else visitors.customer_number end
        as customer_number,
    entries.event_day as session_day,
    counted.started_at,
    counted.ended_at,
    cast({{ dbt.datediff('counted.started_at', 'counted.ended_at', 'second') }} as {{ dbt.type_int() }})
        as duration_seconds,
    counted.customer_count > 0 as is_logged_in,
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
