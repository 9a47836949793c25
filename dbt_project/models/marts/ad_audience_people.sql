with sent as (

    select * from {{ ref('int_deliveries__first') }}

),

purchases as (

    select * from {{ ref('person_orders') }}
    where is_purchase

)

select
    sent.first_delivery_id as ad_audience_person_id,
    sent.sync,
    sent.person_id,
    sent.first_sent_on,
    min(purchases.order_day) as bought_on,
    {{ money('coalesce(sum(purchases.order_value), 0)') }} as revenue_after_sent
from sent
cross join {{ ref('loop_clock') }} as clock
left join purchases
    on sent.person_id = purchases.person_id
    and purchases.order_day > sent.first_sent_on
    and purchases.order_day <= clock.as_of_on
group by sent.first_delivery_id, sent.sync, sent.person_id, sent.first_sent_on
