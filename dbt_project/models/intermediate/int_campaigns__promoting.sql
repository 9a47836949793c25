with campaigns as (

    select
        *,
        row_number() over (partition by campaign_id order by modified_on desc) as newness
    from {{ ref('stg_hubspot__campaigns') }}

),

coupons as (

    select distinct
        {{ dbt.concat(["'campaign_'", "cast(campaign_id as " ~ dbt.type_string() ~ ")"]) }} as code,
        cast(product_id as {{ dbt.type_string() }}) as sku
    from {{ ref('stg_retail__coupons') }}

)

select
    {{ dbt.concat(["campaigns.campaign_id", "'-'", "coupons.sku"]) }} as promotion_id,
    campaigns.campaign_id,
    coupons.sku,
    campaigns.starts_on,
    campaigns.ends_on
from campaigns
inner join coupons on campaigns.code = coupons.code
where campaigns.newness = 1
