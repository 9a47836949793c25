with source as (

    select * from {{ source('raw_retail', 'campaigns') }}

)

select
    {{ dbt.concat(["cast(campaign_id as " ~ dbt.type_string() ~ ")", "'-'", "cast(household_id as " ~ dbt.type_string() ~ ")"]) }}
        as campaign_exposure_id,
    campaign_id,
    household_id
from source
