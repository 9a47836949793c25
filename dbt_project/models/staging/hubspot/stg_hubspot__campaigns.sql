with source as (

    select * from {{ hubspot_records() }} as records

)

select
    {{ dbt.concat(["record_id", "'-'", "cast(modified_on as " ~ dbt.type_string() ~ ")"]) }} as campaign_day_id,
    record_id as campaign_id,
    modified_on,
    modified_at,
    name,
    status,
    nullif(trim(code), '') as code,
    starts_on,
    ends_on,
    {{ money('budget') }} as budget,
    {{ money('spend') }} as spend
from source
where kind = 'campaign'
