"""The generated parts of the pages: reference tables, made from what the programs and the chart themselves say."""
