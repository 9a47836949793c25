with opportunities as (

    select
        opportunity_id,
        is_open,
        modified_on as valid_from,
        lead(modified_on) over (partition by opportunity_id order by modified_on) as valid_until
    from {{ ref('stg_salesforce__opportunities') }}

),

lines as (

    select
        *,
        row_number() over (partition by line_id order by modified_on desc) as newness
    from {{ ref('stg_salesforce__opportunity_lines') }}

)

select
    {{ dbt.concat(["lines.line_id", "'-'", "cast(opportunities.valid_from as " ~ dbt.type_string() ~ ")"]) }} as offer_id,
    lines.opportunity_id,
    lines.sku,
    lines.quantity,
    lines.total_price,
    opportunities.valid_from,
    opportunities.valid_until
from lines
inner join opportunities on lines.opportunity_id = opportunities.opportunity_id
where lines.newness = 1 and not lines.is_deleted and opportunities.is_open
