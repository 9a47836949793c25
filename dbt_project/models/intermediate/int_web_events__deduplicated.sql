with deliveries as (

    select * from {{ ref('stg_web__events') }}

),

-- A message counts as it was received first; the file's day decides between deliveries of one second.
ranked as (

    select
        *,
        row_number() over (partition by message_id order by received_at, received_on, occurred_at) as first_first
    from deliveries

)

select
    message_id,
    anonymous_id,
    customer_number,
    event_name,
    occurred_at,
    event_day,
    received_at,
    received_on,
    page_path,
    referrer,
    campaign_source,
    campaign_medium,
    campaign_name,
    product_id
from ranked
where first_first = 1
