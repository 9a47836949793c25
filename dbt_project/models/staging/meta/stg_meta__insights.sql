with source as (

    select * from {{ source_or_empty('raw_meta', 'insights', {
        'day': 'date',
        'campaign_id': dbt.type_string(),
        'campaign_name': dbt.type_string(),
        'impressions': dbt.type_bigint(),
        'clicks': dbt.type_bigint(),
        'spend': dbt.type_numeric(),
        'currency': dbt.type_string()
    }) }} as insights

)

select
    {{ dbt.concat(["campaign_id", "'-'", "cast(day as " ~ dbt.type_string() ~ ")"]) }} as insight_id,
    campaign_id,
    day as shown_on,
    campaign_name,
    impressions,
    coalesce(clicks, 0) as clicks,
    {{ money('coalesce(spend, 0)') }} as spend,
    currency
from source
