{{ config(tags=['facts']) }}

select
    order_line_id,
    sales_value
from {{ ref('order_lines') }}
where sales_value < 0
