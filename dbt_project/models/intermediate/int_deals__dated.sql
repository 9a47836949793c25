with deals as (

    select
        deal_id,
        is_open,
        modified_on as valid_from,
        lead(modified_on) over (partition by deal_id order by modified_on) as valid_until
    from {{ ref('stg_hubspot__deals') }}

),

lines as (

    select
        *,
        row_number() over (partition by line_id order by modified_on desc) as newness
    from {{ ref('stg_hubspot__deal_lines') }}

)

select
    {{ dbt.concat(["lines.line_id", "'-'", "cast(deals.valid_from as " ~ dbt.type_string() ~ ")"]) }} as deal_line_id,
    lines.deal_id,
    lines.sku,
    lines.quantity,
    lines.amount,
    deals.valid_from,
    deals.valid_until
from lines
inner join deals on lines.deal_id = deals.deal_id
where lines.newness = 1 and not lines.is_archived and deals.is_open
