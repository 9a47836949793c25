{{ config(tags=['facts']) }}

with of_lines as (

    select
        order_id,
        sum(sales_value) as sales_value,
        count(*) as line_count
    from {{ ref('order_lines') }}
    where {{ is_in_invocation_days('order_day') }}
    group by order_id

),

of_orders as (

    select
        order_id,
        order_value,
        line_count
    from {{ ref('orders') }}
    where {{ is_in_invocation_days('order_day') }}

)

select
    coalesce(of_lines.order_id, of_orders.order_id) as order_id,
    of_lines.sales_value,
    of_orders.order_value
from of_lines
full join of_orders on of_lines.order_id = of_orders.order_id
where
    of_lines.order_id is null
    or of_orders.order_id is null
    or of_lines.sales_value <> of_orders.order_value
    or of_lines.line_count <> of_orders.line_count
