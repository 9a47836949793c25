with sessions as (

    select * from {{ ref('sessions') }}
    where campaign_source is not null or campaign_medium is not null or campaign_name is not null

),

exposures as (

    select * from {{ ref('int_exposures__begun') }}

)

select
    {{ dbt.concat(["'session-'", "session_id"]) }} as touchpoint_id,
    'web_session' as touchpoint_kind,
    anonymous_id,
    customer_number,
    session_day as touched_on,
    started_at as touched_at,
    campaign_source,
    campaign_medium,
    campaign_name
from sessions

union all

select
    {{ dbt.concat(["'exposure-'", "campaign_exposure_id"]) }} as touchpoint_id,
    'campaign_exposure' as touchpoint_kind,
    cast(null as {{ dbt.type_string() }}) as anonymous_id,
    customer_number,
    started_on as touched_on,
    cast(null as {{ type_instant() }}) as touched_at,
    'retailer' as campaign_source,
    'mailing' as campaign_medium,
    campaign_name
from exposures
