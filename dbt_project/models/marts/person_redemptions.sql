{{ config(materialized='view') }}

with redemptions as (

    select * from {{ ref('int_redemptions__identified') }}

),

customers as (

    select * from {{ ref('int_customers__resolved') }}

)

select
    redemptions.redemption_id,
    customers.person_id,
    redemptions.customer_number,
    redemptions.coupon_upc,
    redemptions.campaign_id,
    redemptions.redeemed_on
from redemptions
inner join customers on redemptions.customer_number = customers.customer_number
