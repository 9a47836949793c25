with orders as (

    select
        orders.*,
        {{ days_between('orders.order_day', 'clock.as_of_on') }} as days_ago
    from {{ ref('person_orders') }} as orders
    inner join {{ ref('loop_clock') }} as clock on orders.order_day <= clock.as_of_on
    where orders.is_purchase

),

summed as (

    select
        person_id,
        {{ money('sum(case when days_ago < 90 then order_value else 0 end)') }} as order_value_90d,
        {{ money('sum(case when days_ago >= 90 and days_ago < 180 then order_value else 0 end)') }}
            as order_value_before_90d,
        {{ money('sum(case when days_ago < 365 then order_value else 0 end)') }} as order_value_365d,
        {{ money('sum(case when days_ago < 365 then store_discount + coupon_discount else 0 end)') }} as discount_365d,
        sum(case when days_ago < 365 then 1 else 0 end) as orders_365d
    from orders
    group by person_id

),

-- Ties are broken by person_id, so that two equal people keep their tiers on every rebuild.
ranked as (

    select
        *,
        ntile(10) over (order by order_value_365d desc, person_id) as tenth
    from summed

)

select
    person_id,
    order_value_90d,
    order_value_before_90d,
    cast({{ ratio('(order_value_90d - order_value_before_90d)', 'nullif(order_value_before_90d, 0)') }} as decimal(12, 4))
        as order_value_change_share,
    order_value_365d,
    {{ money(ratio('order_value_365d', 'nullif(orders_365d, 0)')) }} as average_order_value_365d,
    cast({{ ratio('discount_365d', 'nullif(order_value_365d + discount_365d, 0)') }} as decimal(6, 4)) as discount_share_365d,
    case when tenth <= 2 then 'high' when tenth <= 5 then 'middle' else 'low' end as value_tier
from ranked
