with source as (

    select * from {{ source('raw_retail', 'campaign_descriptions') }}

)

select
    campaign_id,
    campaign_type,
    start_date as started_on,
    end_date as ended_on
from source
