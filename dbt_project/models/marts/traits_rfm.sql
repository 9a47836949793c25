with orders as (

    select orders.*
    from {{ ref('person_orders') }} as orders
    inner join {{ ref('loop_clock') }} as clock on orders.order_day <= clock.as_of_on
    where orders.is_purchase

),

clock as (

    select * from {{ ref('loop_clock') }}

),

departments as (

    select * from {{ ref('traits_departments') }}

),

lifetimes as (

    select
        person_id,
        min(order_day) as first_order_on,
        max(order_day) as last_order_on,
        count(*) as order_count,
        count(distinct {{ week_of('order_day') }}) as active_week_count,
        {{ money('sum(merchandise_value)') }} as lifetime_value
    from orders
    group by person_id

),

counted as (

    select
        orders.person_id,
        sum(case when orders.order_day >= clock.year_started_on then 1 else 0 end) as orders_365d,
        sum(case when orders.order_day > {{ days_before('lifetimes.last_order_on', 180) }} then 1 else 0 end)
            as orders_180d_to_last
    from orders
    inner join lifetimes on orders.person_id = lifetimes.person_id
    cross join clock
    group by orders.person_id

),

-- Ties are broken by person_id: ntile alone may give two equal people other scores on every rebuild.
scored as (

    select
        lifetimes.*,
        counted.orders_365d,
        counted.orders_180d_to_last,
        clock.as_of_on,
        {{ days_between('lifetimes.last_order_on', 'clock.as_of_on') }} as days_since_last_order,
        {{ days_between('lifetimes.first_order_on', 'clock.as_of_on') }} as days_since_first_order,
        ntile(5) over (order by lifetimes.last_order_on, lifetimes.person_id) as recency_score,
        ntile(5) over (order by counted.orders_365d, lifetimes.person_id) as frequency_score,
        ntile(5) over (order by lifetimes.lifetime_value, lifetimes.person_id) as monetary_score
    from lifetimes
    inner join counted on lifetimes.person_id = counted.person_id
    cross join clock

)

select
    scored.person_id,
    scored.first_order_on,
    scored.last_order_on,
    cast(scored.days_since_last_order as {{ dbt.type_int() }}) as days_since_last_order,
    cast(scored.order_count as {{ dbt.type_int() }}) as order_count,
    cast(scored.orders_365d as {{ dbt.type_int() }}) as orders_365d,
    cast(scored.orders_180d_to_last as {{ dbt.type_int() }}) as orders_180d_to_last,
    cast({{ ratio('scored.order_count * 1.00', 'scored.active_week_count') }} as decimal(8, 2)) as orders_per_active_week,
    scored.lifetime_value,
    cast(scored.recency_score as {{ dbt.type_int() }}) as recency_score,
    cast(scored.frequency_score as {{ dbt.type_int() }}) as frequency_score,
    cast(scored.monetary_score as {{ dbt.type_int() }}) as monetary_score,
    case
        when scored.days_since_first_order < 28 then 'new'
        when scored.days_since_last_order >= 84 then 'lapsed'
        when scored.recency_score <= 2 and scored.frequency_score >= 3 then 'at_risk'
        when scored.recency_score >= 4 and scored.frequency_score >= 4 and scored.monetary_score >= 4 then 'champions'
        when scored.frequency_score >= 4 then 'loyal'
        else 'potential'
    end as rfm_segment,
    departments.favourite_department,
    departments.favourite_department_value,
    scored.as_of_on
from scored
left join departments on scored.person_id = departments.person_id
