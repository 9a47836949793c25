with order_lines as (

    select * from {{ ref('person_order_lines') }}

),

clock as (

    select * from {{ ref('loop_clock') }}

),

spent as (

    select
        order_lines.person_id,
        order_lines.department,
        {{ money('sum(order_lines.sales_value)') }} as department_value
    from order_lines
    inner join clock on order_lines.order_day between clock.year_started_on and clock.as_of_on
    where not order_lines.is_fuel and not order_lines.is_without_value
    group by order_lines.person_id, order_lines.department

),

ranked as (

    select
        person_id,
        department,
        department_value,
        row_number() over (partition by person_id order by department_value desc, department asc) as most_spent_first
    from spent

)

select
    person_id,
    department as favourite_department,
    department_value as favourite_department_value
from ranked
where most_spent_first = 1
