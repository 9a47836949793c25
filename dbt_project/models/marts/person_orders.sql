{{ config(materialized='view') }}

with orders as (

    select * from {{ ref('orders') }}

),

customers as (

    select * from {{ ref('int_customers__resolved') }}

)

select
    orders.order_id,
    customers.person_id,
    orders.customer_number,
    orders.store_id,
    orders.order_day,
    orders.ordered_at,
    orders.line_count,
    orders.order_value,
    orders.merchandise_value,
    orders.store_discount,
    orders.coupon_discount,
    orders.is_purchase
from orders
inner join customers on orders.customer_number = customers.customer_number
