with source as (

    select * from {{ source('raw_web', 'events') }}

)

select
    message_id,
    anonymous_id,
    customer_number,
    event_name,
    occurred_at,
    {{ local_day('occurred_at', 'America/New_York') }} as event_day,
    received_at,
    file_day as received_on,
    page_path,
    referrer,
    campaign_source,
    campaign_medium,
    campaign_name,
    product_id
from source
