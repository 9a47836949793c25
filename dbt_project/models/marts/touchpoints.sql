with sessions as (

    select * from {{ ref('sessions') }}
    where campaign_source is not null or campaign_medium is not null or campaign_name is not null

),

-- The data does not say on which day a household was sent a campaign: its first day counts.
exposures as (

    select
        redeemed.campaign_exposure_id,
        customers.person_id,
        campaigns.started_on,
        {{ dbt.concat(["'campaign_'", "cast(campaigns.campaign_id as " ~ dbt.type_string() ~ ")"]) }} as campaign_name
    from {{ ref('int_exposures__redeemed') }} as redeemed
    inner join {{ ref('campaigns') }} as campaigns on redeemed.campaign_id = campaigns.campaign_id
    left join {{ ref('int_customers__resolved') }} as customers
        on redeemed.customer_number = customers.customer_number

)

select
    {{ dbt.concat(["'session-'", "session_id"]) }} as touchpoint_id,
    'web_session' as touchpoint_kind,
    person_id,
    anonymous_id,
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
    person_id,
    cast(null as {{ dbt.type_string() }}) as anonymous_id,
    started_on as touched_on,
    cast(null as {{ type_instant() }}) as touched_at,
    'retailer' as campaign_source,
    'mailing' as campaign_medium,
    campaign_name
from exposures
