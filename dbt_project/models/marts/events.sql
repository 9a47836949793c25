{{ config(
    materialized='incremental',
    incremental_strategy='replace_days',
    event_time='received_on',
    unique_key='message_id',
    on_schema_change='fail'
) }}

with deduplicated as (

    select * from {{ ref('int_web_events__deduplicated') }}

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
from deduplicated
where
    {{ is_in_invocation_days('received_on') }}
    {%- if is_incremental() %}
    -- A message whose first delivery is not in its file any more counts by its second one, of whatever day.
    or message_id in (select message_id from {{ this }} where {{ is_in_invocation_days('received_on') }})
    {%- endif %}
