with exposures as (

    select * from {{ ref('stg_retail__campaign_exposures') }}

),

campaigns as (

    select * from {{ ref('stg_retail__campaigns') }}

),

clock as (

    select * from {{ ref('stg_loop__clock') }}

)

select
    exposures.campaign_exposure_id,
    cast(exposures.household_id as {{ dbt.type_string() }}) as customer_number,
    {{ dbt.concat(["'campaign_'", "cast(campaigns.campaign_id as " ~ dbt.type_string() ~ ")"]) }} as campaign_name,
    campaigns.started_on
from exposures
inner join campaigns on exposures.campaign_id = campaigns.campaign_id
inner join clock on campaigns.started_on <= clock.as_of_on
