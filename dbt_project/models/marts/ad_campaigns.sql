with summed as (

    select * from {{ ref('int_ad_campaigns__summed') }}

)

select
    campaign_id,
    campaign_name,
    first_shown_on,
    last_shown_on,
    impressions,
    clicks,
    spend,
    currency,
    sync,
    audience,
    as_of_on
from summed
