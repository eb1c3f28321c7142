{{ kpi_by_period(months=6) }}
