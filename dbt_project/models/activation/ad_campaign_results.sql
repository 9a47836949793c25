with campaigns as (

    select * from {{ ref('ad_campaigns') }}

),

sent as (

    select
        sync,
        count(*) as sent_people,
        count(bought_on) as bought_people,
        sum(revenue_after_sent) as revenue_after_sent
    from {{ ref('ad_audience_people') }}
    group by sync

),

held_out as (

    select
        assignments.audience,
        count(distinct assignments.person_id) as held_out_people,
        count(distinct purchases.person_id) as held_out_bought_people
    from {{ platform_source('audiences', 'audience_assignments') }} as assignments
    left join {{ ref('person_orders') }} as purchases
        on assignments.person_id = purchases.person_id
        and purchases.is_purchase
        and purchases.order_day > assignments.assigned_on
    where assignments.arm = 'held_out' and assignments.ended_on is null
    group by assignments.audience

)

select
    campaigns.campaign_id,
    campaigns.campaign_name,
    campaigns.first_shown_on,
    campaigns.last_shown_on,
    campaigns.impressions,
    campaigns.clicks,
    campaigns.spend,
    campaigns.currency,
    campaigns.sync,
    campaigns.audience,
    coalesce(sent.sent_people, 0) as sent_people,
    coalesce(sent.bought_people, 0) as bought_people,
    {{ money('coalesce(sent.revenue_after_sent, 0)') }} as revenue_after_sent,
    coalesce(held_out.held_out_people, 0) as held_out_people,
    coalesce(held_out.held_out_bought_people, 0) as held_out_bought_people,
    coalesce(sent.sent_people, 0) > 0 and coalesce(held_out.held_out_people, 0) > 0 as is_causal,
    campaigns.as_of_on
from campaigns
left join sent on campaigns.sync = sent.sync
left join held_out on campaigns.audience = held_out.audience
