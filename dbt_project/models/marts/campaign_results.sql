with exposures as (

    select * from {{ ref('int_exposures__redeemed') }}

),

campaigns as (

    select * from {{ ref('campaigns') }}

),

clock as (

    select * from {{ ref('loop_clock') }}

),

results as (

    select
        campaign_id,
        count(*) as exposed_household_count,
        sum(case when redemption_count > 0 then 1 else 0 end) as redeeming_household_count,
        sum(redemption_count) as redemption_count,
        max(last_redeemed_on) as last_redeemed_on
    from exposures
    group by campaign_id

)

select
    campaigns.campaign_id,
    campaigns.campaign_type,
    campaigns.started_on,
    campaigns.ended_on,
    results.exposed_household_count,
    results.redeeming_household_count,
    cast(results.redemption_count as {{ dbt.type_bigint() }}) as redemption_count,
    cast({{ ratio('results.redeeming_household_count * 1.00', 'results.exposed_household_count') }} as decimal(5, 4)) as redemption_share,
    results.last_redeemed_on,
    clock.as_of_on
from results
inner join campaigns on results.campaign_id = campaigns.campaign_id
cross join clock
