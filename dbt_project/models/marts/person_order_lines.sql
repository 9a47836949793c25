{{ config(materialized='view') }}

with order_lines as (

    select * from {{ ref('order_lines') }}

),

customers as (

    select * from {{ ref('int_customers__resolved') }}

)

select
    order_lines.order_line_id,
    order_lines.order_id,
    customers.person_id,
    order_lines.customer_number,
    order_lines.product_id,
    order_lines.store_id,
    order_lines.department,
    order_lines.order_day,
    order_lines.ordered_at,
    order_lines.quantity,
    order_lines.sales_value,
    order_lines.store_discount,
    order_lines.coupon_discount,
    order_lines.is_fuel,
    order_lines.is_without_value
from order_lines
inner join customers on order_lines.customer_number = customers.customer_number
