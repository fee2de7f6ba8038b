"""All SQL: tables, migrations, the event log, the decision log, bulk paths."""
