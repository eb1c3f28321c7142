{{ kpi_by_period(months=1) }}
