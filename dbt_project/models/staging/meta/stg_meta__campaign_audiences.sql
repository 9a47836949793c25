select
    campaign_id,
    sync,
    audience
from {{ ref('ad_campaign_audiences') }}
