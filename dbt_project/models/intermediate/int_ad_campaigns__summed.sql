with insights as (

    select * from {{ ref('stg_meta__insights') }}

),

clock as (

    select * from {{ ref('stg_loop__clock') }}

),

shown as (

    select
        insights.campaign_id,
        max(insights.campaign_name) as campaign_name,
        min(insights.shown_on) as first_shown_on,
        max(insights.shown_on) as last_shown_on,
        cast(sum(insights.impressions) as {{ dbt.type_bigint() }}) as impressions,
        cast(sum(insights.clicks) as {{ dbt.type_bigint() }}) as clicks,
        {{ money('sum(insights.spend)') }} as spend,
        max(insights.currency) as currency,
        clock.as_of_on
    from insights
    inner join clock on insights.shown_on <= clock.as_of_on
    group by insights.campaign_id, clock.as_of_on

)

select
    shown.campaign_id,
    shown.campaign_name,
    shown.first_shown_on,
    shown.last_shown_on,
    shown.impressions,
    shown.clicks,
    shown.spend,
    shown.currency,
    audiences.sync,
    audiences.audience,
    shown.as_of_on
from shown
left join {{ ref('stg_meta__campaign_audiences') }} as audiences on shown.campaign_id = audiences.campaign_id
