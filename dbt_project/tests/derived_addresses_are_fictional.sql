{{ config(tags=['facts']) }}

select customer_number
from {{ ref('stg_retail__people') }}
where email not like '%@example.com' or phone not like '+1___55501__'
