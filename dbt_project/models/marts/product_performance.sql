with items as (

    select * from {{ ref('int_items__stocked') }}

),

sold as (

    select
        cast(product_id as {{ dbt.type_string() }}) as sku,
        order_day,
        sum(quantity) as units,
        sum(sales_value) as revenue
    from {{ ref('order_lines') }}
    group by product_id, order_day

),

sales as (

    select
        items.item_day_id,
        sum(case when sold.order_day = items.stock_on then sold.units else 0 end) as units_sold,
        sum(case when sold.order_day = items.stock_on then sold.revenue else 0 end) as revenue,
        sum(sold.units) as units_sold_28d,
        sum(sold.revenue) as revenue_28d
    from items
    inner join sold
        on items.sku = sold.sku
        and sold.order_day <= items.stock_on
        and sold.order_day > {{ days_before('items.stock_on', 28) }}
    group by items.item_day_id

),

offers as (

    select
        items.item_day_id,
        count(distinct dated.opportunity_id) as open_offer_count,
        sum(dated.quantity) as open_offer_units,
        sum(dated.total_price) as open_offer_value
    from items
    inner join {{ ref('int_offers__dated') }} as dated
        on items.sku = dated.sku
        and dated.valid_from <= items.stock_on
        and (dated.valid_until is null or dated.valid_until > items.stock_on)
    group by items.item_day_id

),

deals as (

    select
        items.item_day_id,
        count(distinct dated.deal_id) as open_deal_count,
        sum(dated.quantity) as open_deal_units,
        sum(dated.amount) as open_deal_value
    from items
    inner join {{ ref('int_deals__dated') }} as dated
        on items.sku = dated.sku
        and dated.valid_from <= items.stock_on
        and (dated.valid_until is null or dated.valid_until > items.stock_on)
    group by items.item_day_id

),

campaigns as (

    select
        items.item_day_id,
        count(distinct promoting.campaign_id) as running_campaign_count
    from items
    inner join {{ ref('int_campaigns__promoting') }} as promoting
        on items.sku = promoting.sku
        and promoting.starts_on <= items.stock_on
        and (promoting.ends_on is null or promoting.ends_on >= items.stock_on)
    group by items.item_day_id

)

select
    items.item_day_id as product_day_id,
    items.sku as product_id,
    items.stock_on,
    items.name,
    items.department,
    items.price,
    items.stock_count,
    cast(coalesce(sales.units_sold, 0) as {{ dbt.type_bigint() }}) as units_sold,
    {{ money('coalesce(sales.revenue, 0)') }} as revenue,
    cast(coalesce(sales.units_sold_28d, 0) as {{ dbt.type_bigint() }}) as units_sold_28d,
    {{ money('coalesce(sales.revenue_28d, 0)') }} as revenue_28d,
    coalesce(offers.open_offer_count, 0) as open_offer_count,
    cast(coalesce(offers.open_offer_units, 0) as {{ dbt.type_bigint() }}) as open_offer_units,
    {{ money('coalesce(offers.open_offer_value, 0)') }} as open_offer_value,
    coalesce(deals.open_deal_count, 0) as open_deal_count,
    cast(coalesce(deals.open_deal_units, 0) as {{ dbt.type_bigint() }}) as open_deal_units,
    {{ money('coalesce(deals.open_deal_value, 0)') }} as open_deal_value,
    coalesce(campaigns.running_campaign_count, 0) as running_campaign_count,
    items.stock_count >= {{ var('slow_seller')['stock_at_least'] }}
    and coalesce(sales.units_sold_28d, 0) <= {{ var('slow_seller')['units_28d_at_most'] }} as is_slow_seller,
    items.is_newest,
    items.as_of_on
from items
left join sales on items.item_day_id = sales.item_day_id
left join offers on items.item_day_id = offers.item_day_id
left join deals on items.item_day_id = deals.item_day_id
left join campaigns on items.item_day_id = campaigns.item_day_id
